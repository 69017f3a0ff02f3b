#pragma once

#include "simd/vector.hpp"

namespace cross_attention::linalg {

/// The microkernel's tile, which it keeps in registers: kTileRows × two vectors. With a fused multiply-add 6 rows fill
/// 15 of 16 registers (12 sums, 2 columns, 1 row value); without one, the product needs a register of its own: 5 rows.
template <class T>
inline constexpr Index kTileRows = simd::kFusedMultiplyAdd ? 6 : 5;
template <class T>
inline constexpr Index kTileColumns = 2 * simd::kLanes<T>;

/// Products are summed over at most this much depth at a time, so that a row panel and a column panel together stay in
/// the first-level cache (32 KiB): (6 + 8) · 4 bytes · 384 = 21 KiB, the same for 6 and 4 doubles at 192: 15 KiB.
template <class T>
inline constexpr Index kMostDepth = 384 * static_cast<Index>(sizeof(float)) /
                                    static_cast<Index>(sizeof(T));

}  // namespace cross_attention::linalg
