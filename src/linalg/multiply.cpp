#include "linalg/multiply.hpp"

#include <algorithm>
#include <array>

#include "linalg/microkernel.hpp"

namespace cross_attention::linalg {

namespace {

/// Calls part(begin, count, start) for the depth blocks of the left operand. If the operand is not blocked,
/// the parts have equal size, at most kMaxDepth.
template <class T, class Part>
void forDepthBlocks(const RowPanels<T>& left, Start start, Part part) {
  const Index equal = std::max<Index>(1, ceilDivide(left.depth, kMaxDepth<T>));
  const Index step = left.blockDepth < left.depth ? left.blockDepth : ceilDivide(left.depth, equal);
  Index begin = 0;
  do {
    part(begin, std::min(step, left.depth - begin), begin == 0 ? start : Start::kAccumulate);
    begin += step;
  } while (begin < left.depth);
}

/// The part of the right operand that stays in the second-level cache while all row panels pass by.
constexpr Index kRightBytes = Index{256} * 1024;

/// Calls work(first row, number of rows, first column panel, end of the column panels) for every row panel,
/// group of column panels by group.
template <class T, class Work>
void forPanels(Index rows, Index depth, Index columnPanels, Work work) {
  const Index panelBytes = kTileColumns<T> * std::max<Index>(1, depth) * static_cast<Index>(sizeof(T));
  const Index group = std::max<Index>(1, kRightBytes / panelBytes);
  for (Index panel = 0; panel < columnPanels; panel += group) {
    for (Index row = 0; row < rows; row += kTileRows<T>) {
      work(row, std::min(kTileRows<T>, rows - row), panel, std::min(panel + group, columnPanels));
    }
  }
}

template <class T>
const T* biasOf(Start start, const T* bias, Index row) {
  return start == Start::kBias ? bias + row : nullptr;
}

/// Computes a tile whose destination rows are not kTileColumns contiguous values: multiplies into a temporary
/// tile and copies it.
template <class T>
void multiplyTileInto(Index rows, const T* rowPanel, const T* columnPanel, Index depth,
                      MatrixView<T> destination, Start start, const T* bias) {
  std::array<T, kTileRows<T> * kTileColumns<T>> tile;
  multiplyTiles<T>({.tiles = 1,
                    .rows = rows,
                    .depth = depth,
                    .rowPanel = rowPanel,
                    .rowPanelStep = 0,
                    .columnPanel = columnPanel,
                    .columnPanelStep = 0,
                    .destination = tile.data(),
                    .destinationStep = 0,
                    .rowStride = kTileColumns<T>,
                    .start = start == Start::kBias ? Start::kBias : Start::kZero,
                    .bias = bias,
                    .biasStep = 0});
  const bool accumulate = start == Start::kAccumulate;
  for (Index column = 0; column < destination.columns; ++column) {
    for (Index row = 0; row < rows; ++row) {
      T* value = destination.at(row, column);
      const T product = tile[static_cast<std::size_t>(row * kTileColumns<T> + column)];
      *value = accumulate ? *value + product : product;
    }
  }
}

/// Computes one column panel of the result, tile below tile.
template <class T>
void multiplyColumnPanel(RowPanels<T> left, const T* columnPanel, T* destination, Start start,
                         const T* bias) {
  const Index fullPanels = left.rows / kTileRows<T>;
  const auto run = [&](Index panel, Index tiles, Index rows) {
    const Index row = panel * kTileRows<T>;
    multiplyTiles<T>({.tiles = tiles,
                      .rows = rows,
                      .depth = left.depth,
                      .rowPanel = left.panel(panel),
                      .rowPanelStep = left.panelStride,
                      .columnPanel = columnPanel,
                      .columnPanelStep = 0,
                      .destination = destination + row * kTileColumns<T>,
                      .destinationStep = kTileRows<T> * kTileColumns<T>,
                      .rowStride = kTileColumns<T>,
                      .start = start,
                      .bias = biasOf(start, bias, row),
                      .biasStep = start == Start::kBias ? kTileRows<T> : 0});
  };
  if (fullPanels > 0) run(0, fullPanels, kTileRows<T>);
  const Index rest = left.rows % kTileRows<T>;
  if (rest > 0) run(fullPanels, 1, rest);
}

/// The destination of tiles: the tile of column panel p at row r begins at data + p · tileStep + r ·
/// rowStride.
template <class T>
struct Tiles {
  T* data;
  Index tileStep;
  Index rowStride;
  /// Number of column panels that are written this way. Tiles of the others go to `matrix`, through
  /// multiplyTileInto.
  Index fullPanels;
  MatrixView<T> matrix;
};

/// Multiplies one block of the depth, if the right operand has several column panels or the result is a
/// matrix.
template <class T>
void multiplyPart(RowPanels<T> left, ColumnPanels<const T> right, const Tiles<T>& result, Start start,
                  const T* bias) {
  forPanels<T>(left.rows, left.depth, right.panels(), [&](Index row, Index rows, Index panel, Index end) {
    const T* rowPanel = left.panel(row / kTileRows<T>);
    const T* rowBias = biasOf(start, bias, row);
    const Index fullEnd = std::clamp(result.fullPanels, panel, end);
    multiplyTiles<T>({.tiles = fullEnd - panel,
                      .rows = rows,
                      .depth = left.depth,
                      .rowPanel = rowPanel,
                      .rowPanelStep = 0,
                      .columnPanel = right.panel(panel),
                      .columnPanelStep = right.panelStride,
                      .destination = result.data + panel * result.tileStep + row * result.rowStride,
                      .destinationStep = result.tileStep,
                      .rowStride = result.rowStride,
                      .start = start,
                      .bias = rowBias,
                      .biasStep = 0});
    for (Index tile = fullEnd; tile < end; ++tile) {
      const Index column = tile * kTileColumns<T>;
      const Index columns = std::min(kTileColumns<T>, result.matrix.columns - column);
      multiplyTileInto(rows, rowPanel, right.panel(tile), left.depth,
                       result.matrix.rowRange(row, rows).columnRange(column, columns), start, rowBias);
    }
  });
}

}  // namespace

template <class T>
void multiply(RowPanels<T> left, ColumnPanels<const T> right, ColumnPanels<T> result, Start start,
              const T* bias) {
  const Tiles<T> tiles{result.data, result.panelStride, kTileColumns<T>, right.panels(), {}};
  forDepthBlocks(left, start, [&](Index begin, Index count, Start from) {
    const RowPanels<T> leftPart = left.depthRange(begin, count);
    const ColumnPanels<const T> rightPart = right.depthRange(begin, count);
    if (right.panels() == 1) {
      multiplyColumnPanel<T>(leftPart, rightPart.data, result.data, from, bias);
    } else {
      multiplyPart(leftPart, rightPart, tiles, from, bias);
    }
  });
}

template <class T>
void multiply(RowPanels<T> left, ColumnPanels<const T> right, MatrixView<T> result, Start start,
              const T* bias) {
  const Index fullPanels = result.columnStride == 1 ? result.columns / kTileColumns<T> : 0;
  const Tiles<T> tiles{result.data, kTileColumns<T>, result.rowStride, fullPanels, result};
  forDepthBlocks(left, start, [&](Index begin, Index count, Start from) {
    multiplyPart(left.depthRange(begin, count), right.depthRange(begin, count), tiles, from, bias);
  });
}

#define CROSS_ATTENTION_INSTANTIATE(T)                                                           \
  template void multiply(RowPanels<T>, ColumnPanels<const T>, ColumnPanels<T>, Start, const T*); \
  template void multiply(RowPanels<T>, ColumnPanels<const T>, MatrixView<T>, Start, const T*);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::linalg
