#include "linalg/multiply.hpp"

#include <algorithm>
#include <array>

#include "linalg/microkernel.hpp"

namespace cross_attention::linalg {

namespace {

/// Products are summed over at most this much depth at a time, so that a row panel and a column panel together stay in
/// the first-level cache (32 KiB): (6 + 8) · 4 bytes · 384 = 21 KiB, the same for 6 and 4 doubles at 192: 15 KiB.
template <class T>
constexpr Index kDepthBlock = 384 * static_cast<Index>(sizeof(float)) /
                              static_cast<Index>(sizeof(T));

/// Calls part(begin, count, start) for equal parts of the depth, none longer than kDepthBlock.
template <class T, class Part>
void forDepthBlocks(Index depth, Start start, Part part) {
  const Index blocks = std::max<Index>(1, ceilDivide(depth, kDepthBlock<T>));
  const Index step = ceilDivide(depth, blocks);
  for (Index block = 0; block < blocks; ++block) {
    const Index begin = std::min(block * step, depth);
    part(begin, std::min(step, depth - begin), block == 0 ? start : Start::kAccumulate);
  }
}

template <class T>
const T* biasOf(Start start, const T* bias, Index row) {
  return start == Start::kBias ? bias + row : nullptr;
}

/// A tile whose destination is no run of kTileColumns contiguous values: by way of a small tile of its own.
template <class T>
void multiplyTileInto(Index rows, const T* rowPanel, const T* columnPanel, Index depth,
                      MatrixView<T> destination, Start start, const T* bias) {
  std::array<T, kTileRows<T> * kTileColumns<T>> tile;
  multiplyTile(rows, rowPanel, columnPanel, depth, tile.data(), kTileColumns<T>,
               start == Start::kBias ? Start::kBias : Start::kZero, bias);
  const bool accumulate = start == Start::kAccumulate;
  for (Index column = 0; column < destination.columns; ++column) {
    for (Index row = 0; row < rows; ++row) {
      T* value = destination.at(row, column);
      const T product = tile[static_cast<std::size_t>(row * kTileColumns<T> + column)];
      *value = accumulate ? *value + product : product;
    }
  }
}

}  // namespace

template <class T>
void multiply(RowPanels<T> left, ColumnPanels<const T> right, ColumnPanels<T> result, Start start,
              const T* bias) {
  constexpr Index kRows = kTileRows<T>;
  constexpr Index kColumns = kTileColumns<T>;
  forDepthBlocks<T>(left.depth, start, [&](Index begin, Index count, Start from) {
    const RowPanels<T> leftPart = left.depthRange(begin, count);
    const ColumnPanels<const T> rightPart = right.depthRange(begin, count);
    for (Index row = 0; row < left.rows; row += kRows) {
      const T* rowPanel = leftPart.panel(row / kRows);
      for (Index panel = 0; panel < right.panels(); ++panel) {
        multiplyTile(std::min(kRows, left.rows - row), rowPanel, rightPart.panel(panel), count,
                     result.panel(panel) + row * kColumns, kColumns, from, biasOf(from, bias, row));
      }
    }
  });
}

template <class T>
void multiply(RowPanels<T> left, ColumnPanels<const T> right, MatrixView<T> result, Start start,
              const T* bias) {
  constexpr Index kRows = kTileRows<T>;
  constexpr Index kColumns = kTileColumns<T>;
  forDepthBlocks<T>(left.depth, start, [&](Index begin, Index count, Start from) {
    const RowPanels<T> leftPart = left.depthRange(begin, count);
    const ColumnPanels<const T> rightPart = right.depthRange(begin, count);
    for (Index row = 0; row < left.rows; row += kRows) {
      const Index rows = std::min(kRows, left.rows - row);
      const T* rowPanel = leftPart.panel(row / kRows);
      const T* rowBias = biasOf(from, bias, row);
      for (Index column = 0; column < result.columns; column += kColumns) {
        const T* columnPanel = rightPart.panel(column / kColumns);
        const Index columns = std::min(kColumns, result.columns - column);
        if (result.columnStride == 1 && columns == kColumns) {
          multiplyTile(rows, rowPanel, columnPanel, count, result.at(row, column), result.rowStride,
                       from, rowBias);
        } else {
          multiplyTileInto(rows, rowPanel, columnPanel, count,
                           result.rowRange(row, rows).columnRange(column, columns), from, rowBias);
        }
      }
    }
  });
}

#define CROSS_ATTENTION_INSTANTIATE(T)                                                           \
  template void multiply(RowPanels<T>, ColumnPanels<const T>, ColumnPanels<T>, Start, const T*); \
  template void multiply(RowPanels<T>, ColumnPanels<const T>, MatrixView<T>, Start, const T*);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::linalg
