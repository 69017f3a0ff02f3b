#pragma once

#include "linalg/multiply.hpp"

namespace cross_attention::linalg {

/// One tile of a product: destination (rows × kTileColumns values, rows `rowStride` apart) from one row panel and one
/// column panel. 1 ≤ rows ≤ kTileRows. `bias`: one value a row, read for Start::kBias only.
template <class T>
void multiplyTile(Index rows, const T* rowPanel, const T* columnPanel, Index depth, T* destination,
                  Index rowStride, Start start, const T* bias);

}  // namespace cross_attention::linalg
