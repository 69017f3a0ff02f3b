#pragma once

#include <cstddef>
#include <cstdint>

namespace cross_attention {

/// Counts, offsets and strides of elements. Signed and of the machine's word: 32 bits in WebAssembly.
using Index = std::ptrdiff_t;

/// How much memory to take, in elements or bytes: a product of checked dimensions may exceed Index in WebAssembly, and
/// must be seen to, not wrap around, where it is allocated.
using ByteCount = std::int64_t;

constexpr Index ceilDivide(Index value, Index divisor) { return (value + divisor - 1) / divisor; }
constexpr Index roundUp(Index value, Index multiple) {
  return ceilDivide(value, multiple) * multiple;
}

}  // namespace cross_attention
