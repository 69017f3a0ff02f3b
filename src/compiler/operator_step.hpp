#pragma once

#include "compiler/operator_kernels.hpp"
#include "compiler/step.hpp"

namespace cross_attention::compiler {

/// One operator by itself.
class OperatorStep final : public Step {
 public:
  /// `program` stays as it is while this step lives.
  OperatorStep(const Program& program, int place, std::shared_ptr<Workspace> workspace);

  void bind(std::span<const AnyTensor> values) override;
  void release() override {}
  Schedule& schedule() override { return schedule_; }
  StepDescription describe() const override;
  std::size_t heldBytes() const override { return 0; }

 private:
  const Program& program_;
  const Operation& operation_;
  int place_;
  Operands operands_;
  void* value_ = nullptr;
  Schedule schedule_;
};

}  // namespace cross_attention::compiler
