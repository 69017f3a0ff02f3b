#pragma once

#include <array>
#include <span>

#include "compiler/program.hpp"

namespace cross_attention::compiler {

/// An input of an operation: elements of the program's type.
struct Operand {
  const void* elements = nullptr;
  Shape shape;
};

/// At most so many inputs has an operator that is computed by itself.
using Operands = std::array<Operand, 2>;

/// Rows of an operation's value: all that its last axis holds.
inline Index rowsOf(const Shape& shape) {
  const Index columns = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
  return columns == 0 ? 0 : shape.size() / columns;
}

/// Computes rows [begin, end) of an operation's value, as its definition says and no faster: what the fused kernels are
/// held against, and what runs where nothing better is known. Not for attention.
void computeRows(graph::ElementType type, const Operation& operation, const Operands& operands,
                 void* value, Index begin, Index end);

}  // namespace cross_attention::compiler
