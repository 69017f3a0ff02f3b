#include "compiler/operator_step.hpp"

#include <algorithm>

namespace cross_attention::compiler {

namespace {

/// Operations that a task does, about: short enough for slices of time.
constexpr Index kTaskFlops = Index{1} << 20;

}  // namespace

OperatorStep::OperatorStep(const Program& program, int place,
                              std::shared_ptr<Workspace> workspace)
    : program_(program),
      operation_(program.at(place)),
      place_(place),
      schedule_(std::move(workspace)) {
  const Index rows = rowsOf(operation_.shape);
  if (rows == 0) return;
  const double flops = std::max(flopsOf(program, operation_), static_cast<double>(operation_.shape.size()));
  const Index taskRows = std::max<Index>(1, static_cast<Index>(kTaskFlops / (flops / static_cast<double>(rows))));
  schedule_.add(ceilDivide(rows, taskRows), 0, [=, this](Index task, Scratch&) {
    computeRows(program_.type, operation_, operands_, value_, task * taskRows,
                std::min(rows, (task + 1) * taskRows));
  });
}

void OperatorStep::bind(std::span<const AnyTensor> values) {
  for (std::size_t number = 0; number < operation_.inputs.size(); ++number) {
    const int place = operation_.inputs[number];
    const graph::Constant& constant = program_.at(place).constant;
    operands_[number] = {constant.owner ? constant.elements()
                                        : values[static_cast<std::size_t>(place)].elements(),
                         program_.at(place).shape};
  }
  value_ = values[static_cast<std::size_t>(place_)].elements();
  schedule_.rewind();
}

StepDescription OperatorStep::describe() const {
  StepDescription description{operation_.name, nameOf(operation_.op), "",
                              flopsOf(program_, operation_), 0};
  Index elements = operation_.shape.size();
  for (const int input : operation_.inputs) elements += program_.at(input).shape.size();
  description.bytes = static_cast<double>(elements) * static_cast<double>(bytesOf(program_.type));
  return description;
}

}  // namespace cross_attention::compiler
