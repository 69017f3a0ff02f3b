#pragma once

#include <array>

#include "simd/vector.hpp"

namespace cross_attention::simd {

/// Transposes a block of kLanes × kLanes values: row i of the destination receives value i of every source
/// row. Rows are `sourceStride` and `destinationStride` elements apart.
template <class T>
inline void transposeBlock(const T* source, Index sourceStride, T* destination, Index destinationStride) {
  constexpr Index kSize = kLanes<T>;
  std::array<Vector<T>, kSize> rows;
  for (Index row = 0; row < kSize; ++row) {
    rows[static_cast<std::size_t>(row)] = load(source + row * sourceStride);
  }
  xsimd::transpose(rows.data(), rows.data() + kSize);
  for (Index row = 0; row < kSize; ++row) {
    store(destination + row * destinationStride, rows[static_cast<std::size_t>(row)]);
  }
}

}  // namespace cross_attention::simd
