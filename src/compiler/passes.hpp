#pragma once

#include "compiler/program.hpp"

namespace cross_attention::compiler {

// The compiler's passes over a program. Each is optional. None changes the results except for rounding.

/// Merges identical operations with identical inputs.
void shareSubexpressions(Program& program);

/// Replaces each layer (projections, heads, scale, softmax, weighted sum of values, output projection with
/// bias) by one attention operation.
void fuseAttention(Program& program);

/// Lets attentions read and write an image or [N, C] directly, and removes the conversions to tokens and
/// back.
void keepLayout(Program& program);

/// Evaluates operations that depend only on constants.
void foldConstants(Program& program);

/// Removes operations that the output does not need.
void removeUnused(Program& program);

/// The memory plan: values whose lifetimes do not overlap share memory.
struct MemoryPlan {
  /// Offsets in bytes, one per operation; -1 for inputs, constants and the output.
  std::vector<ByteCount> offsets;
  ByteCount bytes = 0;
};
MemoryPlan planMemory(const Program& program);

}  // namespace cross_attention::compiler
