#pragma once

#include "simd/vector.hpp"

namespace cross_attention::linalg {

/// The microkernel's tile, which stays in registers: kTileRows × two vectors. With a fused multiply-add, 6
/// rows use 15 of 16 registers (12 sums, 2 columns, 1 row value). Without one, the product needs a register
/// of its own, which leaves 5 rows.
template <class T>
inline constexpr Index kTileRows = simd::kFusedMultiplyAdd ? 6 : 5;
template <class T>
inline constexpr Index kTileColumns = 2 * simd::kLanes<T>;

/// Maximum depth that is summed at a time. A row panel and a column panel together then stay in the
/// first-level cache (32 KiB): (6 + 8) · 4 bytes · 384 = 21 KiB for float, (6 + 4) · 8 bytes · 192 = 15 KiB
/// for double.
template <class T>
inline constexpr Index kMaxDepth = 384 * static_cast<Index>(sizeof(float)) / static_cast<Index>(sizeof(T));

}  // namespace cross_attention::linalg
