#include <algorithm>

#include "compiler/operator_kernels.hpp"
#include "compiler/passes.hpp"
#include "core/tensor.hpp"

namespace cross_attention::compiler {

namespace {

template <class T>
Operand<T> constantOperand(const Operation& constant) {
  const void* elements = constant.tensor ? static_cast<const Tensor<T>*>(constant.tensor.get())->data()
                                         : constant.constant.elements();
  return {static_cast<const T*>(elements), constant.shape};
}

}  // namespace

template <class T>
void foldConstants(Program& program) {
  for (Operation& operation : program.operations) {
    if (operation.isGiven() || operation.op == graph::Operator::kAttention) continue;
    const bool isConstant = std::ranges::all_of(
        operation.inputs, [&](int input) { return program.at(input).isConstant(); });
    if (!isConstant) continue;
    Operands<T> operands;
    std::ranges::transform(operation.inputs, operands.begin(), [&](int input) {
      return constantOperand<T>(program.at(input));
    });
    auto value = std::make_shared<Tensor<T>>(operation.shape);
    computeRows(operation, operands, value->data(), 0, rowsOf(operation.shape));
    Operation constant;
    constant.name = std::move(operation.name);
    constant.shape = operation.shape;
    constant.tensor = std::move(value);
    operation = std::move(constant);
  }
}

template void foldConstants<float>(Program&);
template void foldConstants<double>(Program&);

}  // namespace cross_attention::compiler
