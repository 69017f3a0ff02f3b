#pragma once

#include "compiler/program.hpp"

namespace cross_attention::compiler {

// The compiler's passes over a program, each by itself optional. None changes what the program computes but for rounding.

/// Operations that do the same with the same become one.
void shareSubexpressions(Program& program);

/// Finds layers – projections, heads, scale, softmax, sum of values, output projection with bias – and puts one
/// attention in the place of each.
void fuseAttention(Program& program);

/// An attention takes an image or [N, C] as it is: the operations that turn it into tokens and the output back go.
void keepLayout(Program& program);

/// Computes at once what depends on nothing but constants.
void foldConstants(Program& program);

/// What the output does not need goes.
void removeUnused(Program& program);

/// Where each value lies: operations whose lives do not overlap share memory.
struct MemoryPlan {
  std::vector<ByteCount>
      offsets;  ///< in bytes, one an operation; -1 for those that are given, and for the output
  ByteCount bytes = 0;
};
MemoryPlan planMemory(const Program& program);

}  // namespace cross_attention::compiler
