#pragma once

#include "linalg/multiply.hpp"

namespace cross_attention::linalg {

/// A run of tiles along a row or a column of tiles. Each tile has rows × kTileColumns values, with rows
/// `rowStride` apart, and is the product of one row panel and one column panel. One call computes many tiles,
/// because a call costs as much as several steps of the depth.
template <class T>
struct TileRun {
  Index tiles;
  Index rows;  ///< of each tile: 1 to kTileRows
  Index depth;
  const T* rowPanel;
  /// Elements from one tile's row panel to the next; 0: all tiles share one.
  Index rowPanelStep;
  const T* columnPanel;
  Index columnPanelStep;
  T* destination;
  Index destinationStep;
  Index rowStride;
  Start start;
  const T* bias;  ///< one value per row, read only for Start::kBias
  Index biasStep;
};

template <class T>
void multiplyTiles(const TileRun<T>& run);

}  // namespace cross_attention::linalg
