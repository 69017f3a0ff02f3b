#pragma once

#include <array>
#include <span>

#include "compiler/program.hpp"

namespace cross_attention::compiler {

/// An operand of an operation, with elements of the program's type.
struct Operand {
  const void* elements = nullptr;
  Shape shape;
};

/// The operands of an operator other than attention: at most two.
using Operands = std::array<Operand, 2>;

/// Returns the number of rows of an operation's value. A row spans the last axis.
inline Index rowsOf(const Shape& shape) {
  const Index columns = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
  return columns == 0 ? 0 : shape.size() / columns;
}

/// Computes rows [begin, end) of an operation's value by the operator's definition. Not optimized: it is the
/// reference for fused kernels and the fallback for everything else. Does not support attention.
void computeRows(graph::ElementType type, const Operation& operation, const Operands& operands, void* value,
                 Index begin, Index end);

}  // namespace cross_attention::compiler
