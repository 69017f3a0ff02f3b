#pragma once

#include <cstddef>
#include <cstdint>

namespace cross_attention {

/// Counts, offsets and strides of elements. Signed, with the size of a pointer: 32 bits in WebAssembly.
using Index = std::ptrdiff_t;

/// An amount of memory, in elements or bytes. 64 bits wide, because a product of valid dimensions may exceed
/// Index in WebAssembly: the overflow must reach the allocation, which rejects it, and not wrap around.
using ByteCount = std::int64_t;

constexpr Index ceilDivide(Index value, Index divisor) { return (value + divisor - 1) / divisor; }
constexpr Index roundUp(Index value, Index multiple) { return ceilDivide(value, multiple) * multiple; }

}  // namespace cross_attention
