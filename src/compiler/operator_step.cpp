#include "compiler/operator_step.hpp"

#include <algorithm>

#include "compiler/operator_kernels.hpp"

namespace cross_attention::compiler {

namespace {

/// Approximate FLOPs per task: short enough for time slices.
constexpr Index kTaskFlops = Index{1} << 20;

class OperatorStep final : public Step {
 public:
  OperatorStep(const Program& program, const Operation& operation,
               const std::shared_ptr<Workspace>& workspace)
      : Step(program, operation), schedule_(workspace) {
    const Index rows = rowsOf(operation_.shape);
    if (rows == 0) return;
    const double flops = std::max(flopsOf(program, operation_), static_cast<double>(operation_.shape.size()));
    const Index taskRows =
        std::max<Index>(1, static_cast<Index>(kTaskFlops / (flops / static_cast<double>(rows))));
    schedule_.add(ceilDivide(rows, taskRows), 0, [=, this](Index task, Scratch&) {
      computeRows(program_.type, operation_, operands_, value_, task * taskRows,
                  std::min(rows, (task + 1) * taskRows));
    });
  }

  void bind() override {
    for (std::size_t number = 0; number < operation_.inputs.size(); ++number) {
      operands_[number] = {program_.elements(input(number)), input(number).shape};
    }
    value_ = program_.tensorOf(operation_).elements();
    schedule_.rewind();
  }
  void release() override {}
  Schedule& schedule() override { return schedule_; }

  StepDescription describe() const override {
    Index elements = operation_.shape.size();
    for (const int index : operation_.inputs) elements += program_.at(index).shape.size();
    return {operation_.name,
            nameOf(operation_.op),
            {},
            flopsOf(program_, operation_),
            static_cast<double>(elements) * static_cast<double>(bytesOf(program_.type))};
  }
  std::size_t cachedBytes() const override { return 0; }

 private:
  Operands operands_;
  void* value_ = nullptr;
  Schedule schedule_;
};

}  // namespace

std::unique_ptr<Step> makeOperatorStep(const Program& program, const Operation& operation,
                                       const std::shared_ptr<Workspace>& workspace) {
  return std::make_unique<OperatorStep>(program, operation, workspace);
}

}  // namespace cross_attention::compiler
