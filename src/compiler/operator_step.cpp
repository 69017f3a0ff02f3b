#include "compiler/operator_step.hpp"

#include <algorithm>

namespace cross_attention::compiler {

namespace {

/// Operations that a task does, about: short enough for slices of time.
constexpr Index kTaskFlops = Index{1} << 20;

}  // namespace

template <class T>
OperatorStep<T>::OperatorStep(const Program& program, int place,
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
    computeRows(operation_, operands_, value_, task * taskRows,
                std::min(rows, (task + 1) * taskRows));
  });
}

template <class T>
void OperatorStep<T>::bind(std::span<const Tensor<T>> values) {
  std::ranges::transform(operation_.inputs, operands_.begin(), [&](int input) -> Operand<T> {
    const graph::Constant& constant = program_.at(input).constant;
    if (constant.owner) return {static_cast<const T*>(constant.elements()), program_.at(input).shape};
    return {values[static_cast<std::size_t>(input)].data(), program_.at(input).shape};
  });
  Tensor<T> value = values[static_cast<std::size_t>(place_)];
  value_ = value.data();
  schedule_.rewind();
}

template <class T>
StepDescription OperatorStep<T>::describe() const {
  StepDescription description{operation_.name, nameOf(operation_.op), "",
                              flopsOf(program_, operation_), 0};
  Index elements = operation_.shape.size();
  for (const int input : operation_.inputs) elements += program_.at(input).shape.size();
  description.bytes = static_cast<double>(elements) * sizeof(T);
  return description;
}

template class OperatorStep<float>;
template class OperatorStep<double>;

}  // namespace cross_attention::compiler
