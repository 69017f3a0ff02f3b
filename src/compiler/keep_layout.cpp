#include "compiler/passes.hpp"

namespace cross_attention::compiler {

namespace {

using graph::Operator;

constexpr graph::Attributes kTokensFirst{0, 2, 1};

/// Returns the index of the image or [N, C] tensor from which the tokens at `index` were made, or -1.
int originalLayout(const Program& program, int index) {
  const Operation* operation = &program.at(index);
  if (operation->op == Operator::kTranspose && operation->attributes == kTokensFirst) {
    operation = &program.at(operation->inputs[0]);
    const bool isImage =
        operation->op == Operator::kReshape && program.at(operation->inputs[0]).shape.rank() == 4;
    return isImage ? operation->inputs[0] : -1;
  }
  const bool isSingle = operation->op == Operator::kReshape &&
                        program.at(operation->inputs[0]).shape.rank() == 2 && operation->shape.rank() == 3;
  return isSingle ? operation->inputs[0] : -1;
}

/// Returns the attention whose tokens `operation` converts to another layout, or null.
const Operation* attentionBefore(const Program& program, const Operation& operation) {
  if (operation.op != Operator::kReshape) return nullptr;
  const Operation* transposed = program.inputOf(operation, 0, Operator::kTranspose, kTokensFirst);
  if (operation.shape.rank() == 4) {
    return transposed == nullptr ? nullptr : program.inputOf(*transposed, 0, Operator::kAttention);
  }
  return program.inputOf(operation, 0, Operator::kAttention);
}

/// True if both are images or both are [N, C], and differ in their channels at most.
bool hasTokensOf(const Shape& output, const Shape& input) {
  if (output.rank() != input.rank()) return false;
  for (int axis = 0; axis < output.rank(); ++axis) {
    if (axis != 1 && output[axis] != input[axis]) return false;
  }
  return true;
}

}  // namespace

void keepLayout(Program& program) {
  for (Operation& operation : program.operations) {
    if (operation.op == Operator::kAttention) {
      const int context = originalLayout(program, operation.inputs[1]);
      if (context >= 0 && program.at(context).shape.rank() == 2) operation.inputs[1] = context;
      continue;
    }
    const Operation* attention = attentionBefore(program, operation);
    if (attention == nullptr) continue;
    const int input = originalLayout(program, attention->inputs[0]);
    if (input < 0 || !hasTokensOf(operation.shape, program.at(input).shape)) continue;
    const Shape shape = operation.shape;
    operation = *attention;
    operation.inputs[0] = input;
    operation.shape = shape;
  }
}

}  // namespace cross_attention::compiler
