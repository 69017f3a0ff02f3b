#include "compiler/passes.hpp"

namespace cross_attention::compiler {

namespace {

using graph::Operator;

constexpr graph::List kTokensFirst{0, 2, 1};

/// The place of what was turned into the tokens at `place`: an image, or [N, C]; -1 where it was neither.
int formOf(const Program& program, int place) {
  const Operation* operation = &program.at(place);
  if (operation->op == Operator::kTranspose && operation->list == kTokensFirst) {
    operation = &program.at(operation->inputs[0]);
    const bool isImage =
        operation->op == Operator::kReshape && program.at(operation->inputs[0]).shape.rank() == 4;
    return isImage ? operation->inputs[0] : -1;
  }
  const bool isSingle = operation->op == Operator::kReshape &&
                        program.at(operation->inputs[0]).shape.rank() == 2 &&
                        operation->shape.rank() == 3;
  return isSingle ? operation->inputs[0] : -1;
}

/// The attention whose tokens `operation` turns into another form; null where it does not.
const Operation* attentionBehind(const Program& program, const Operation& operation) {
  if (operation.op != Operator::kReshape) return nullptr;
  const Operation* transposed = program.inputOf(operation, 0, Operator::kTranspose, kTokensFirst);
  if (operation.shape.rank() == 4) {
    return transposed == nullptr ? nullptr : program.inputOf(*transposed, 0, Operator::kAttention);
  }
  return program.inputOf(operation, 0, Operator::kAttention);
}

}  // namespace

void keepLayout(Program& program) {
  for (Operation& operation : program.operations) {
    if (operation.op == Operator::kAttention) {
      const int context = formOf(program, operation.inputs[1]);
      if (context >= 0 && program.at(context).shape.rank() == 2) operation.inputs[1] = context;
      continue;
    }
    const Operation* attention = attentionBehind(program, operation);
    if (attention == nullptr) continue;
    const int input = formOf(program, attention->inputs[0]);
    if (input < 0 || program.at(input).shape != operation.shape) continue;
    const Shape shape = operation.shape;
    operation = *attention;
    operation.inputs[0] = input;
    operation.shape = shape;
  }
}

}  // namespace cross_attention::compiler
