#include "compiler/operator_step.hpp"

#include <algorithm>

namespace cross_attention::compiler {

namespace {

/// Operations that a task does, about: short enough for slices of time.
constexpr Index kTaskFlops = Index{1} << 20;

}  // namespace

OperatorStep::OperatorStep(const Program& program, const Operation& operation,
                           std::shared_ptr<Workspace> workspace)
    : Step(program, operation), schedule_(std::move(workspace)) {
  const Index rows = rowsOf(operation_.shape);
  if (rows == 0) return;
  const double flops =
      std::max(flopsOf(program, operation_), static_cast<double>(operation_.shape.size()));
  const Index taskRows =
      std::max<Index>(1, static_cast<Index>(kTaskFlops / (flops / static_cast<double>(rows))));
  schedule_.add(ceilDivide(rows, taskRows), 0, [=, this](Index task, Scratch&) {
    computeRows(program_.type, operation_, operands_, value_, task * taskRows,
                std::min(rows, (task + 1) * taskRows));
  });
}

void OperatorStep::bind() {
  for (std::size_t number = 0; number < operation_.inputs.size(); ++number) {
    operands_[number] = {program_.elements(input(number)), input(number).shape};
  }
  value_ = program_.tensorOf(operation_).elements();
  schedule_.rewind();
}

StepDescription OperatorStep::describe() const {
  Index elements = operation_.shape.size();
  for (const int place : operation_.inputs) elements += program_.at(place).shape.size();
  return {operation_.name,
          nameOf(operation_.op),
          {},
          flopsOf(program_, operation_),
          static_cast<double>(elements) * static_cast<double>(bytesOf(program_.type))};
}

}  // namespace cross_attention::compiler
