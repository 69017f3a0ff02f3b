#pragma once

#include "linalg/multiply.hpp"

namespace cross_attention::linalg {

/// Tiles of a product, one after another along a row or a column of tiles: each is rows × kTileColumns values, rows
/// `rowStride` apart, from one row panel and one column panel. One call for many: a call costs as much as several steps
/// of the depth.
template <class T>
struct TileRun {
  Index tiles;
  Index rows;  ///< of each tile: 1 to kTileRows
  Index depth;
  const T* rowPanel;
  Index
      rowPanelStep;  ///< elements from one tile's row panel to the next one's; 0: the same for all
  const T* columnPanel;
  Index columnPanelStep;
  T* destination;
  Index destinationStep;
  Index rowStride;
  Start start;
  const T* bias;  ///< one value a row, read for Start::kBias only
  Index biasStep;
};

template <class T>
void multiplyTiles(const TileRun<T>& run);

}  // namespace cross_attention::linalg
