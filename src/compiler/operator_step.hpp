#pragma once

#include "compiler/operator_kernels.hpp"
#include "compiler/step.hpp"

namespace cross_attention::compiler {

/// One operator by itself.
class OperatorStep final : public Step {
 public:
  OperatorStep(const Program& program, const Operation& operation,
               std::shared_ptr<Workspace> workspace);

  void bind() override;
  void release() override {}
  Schedule& schedule() override { return schedule_; }
  StepDescription describe() const override;
  std::size_t heldBytes() const override { return 0; }

 private:
  Operands operands_;
  void* value_ = nullptr;
  Schedule schedule_;
};

}  // namespace cross_attention::compiler
