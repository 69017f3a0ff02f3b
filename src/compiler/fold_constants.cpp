#include <algorithm>

#include "compiler/operator_kernels.hpp"
#include "compiler/passes.hpp"

namespace cross_attention::compiler {

void foldConstants(Program& program) {
  for (Operation& operation : program.operations) {
    if (operation.isLeaf() || operation.op == graph::Operator::kAttention) continue;
    const bool isConstant =
        std::ranges::all_of(operation.inputs, [&](int input) { return program.at(input).isConstant(); });
    if (!isConstant) continue;
    Operands operands;
    for (std::size_t number = 0; number < operation.inputs.size(); ++number) {
      const Operation& input = program.at(operation.inputs[number]);
      operands[number] = {program.elements(input), input.shape};
    }
    const AnyTensor value(operation.shape, bytesOf(program.type));
    computeRows(program.type, operation, operands, value.elements(), 0, rowsOf(operation.shape));
    operation.op = graph::Operator::kConstant;
    operation.inputs = {};
    program.setTensor(operation, value);
  }
}

}  // namespace cross_attention::compiler
