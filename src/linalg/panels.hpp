#pragma once

#include "linalg/matrix_view.hpp"
#include "linalg/tile.hpp"

namespace cross_attention::linalg {

/// The left operand of a product, packed: panels of kTileRows rows; in a panel, for each depth (column) the values of
/// its rows side by side. The rows missing from the last panel are zero. A deep matrix may be cut into blocks of its
/// depth, all panels of one before those of the next, as multiply reads them: the processor fetches ahead what lies in
/// a row, and panels with gaps between would each come late.
template <class T>
struct RowPanels {
  const T* data;
  Index rows;
  Index depth;
  /// Elements between panels: kTileRows · blockDepth unless this is a part of deeper panels.
  Index panelStride;
  /// Depth of one block, which divides the depth; the depth itself: not cut.
  Index blockDepth = depth > 0 ? depth : 1;
  Index blockStride = 0;  ///< elements between blocks

  Index panels() const { return ceilDivide(rows, kTileRows<T>); }
  /// Of the first block.
  const T* panel(Index index) const { return data + index * panelStride; }
  RowPanels panelRange(Index begin, Index end) const {
    const Index first = begin * kTileRows<T>;
    const Index last = end * kTileRows<T>;
    return {panel(begin), (last < rows ? last : rows) - first, depth, panelStride, blockDepth,
            blockStride};
  }
  /// Elements from `data` to a depth of the first panel.
  Index offset(Index begin) const {
    return begin / blockDepth * blockStride + begin % blockDepth * kTileRows<T>;
  }
  /// Within one block.
  RowPanels depthRange(Index begin, Index count) const {
    return {data + offset(begin), rows, count, panelStride};
  }
};

/// The right operand of a product, or a result that will be one: panels of kTileColumns columns; in a panel, for each
/// depth (row) the values of its columns side by side. The columns missing from the last panel hold anything finite.
template <class T>
struct ColumnPanels {
  T* data;
  Index depth;
  Index columns;
  /// Elements between panels: kTileColumns · depth unless this is a part of deeper panels.
  Index panelStride;

  Index panels() const { return ceilDivide(columns, kTileColumns<T>); }
  T* panel(Index index) const { return data + index * panelStride; }
  /// Only the rows (depths) begin … begin + count - 1.
  ColumnPanels depthRange(Index begin, Index count) const {
    return {data + begin * kTileColumns<T>, count, columns, panelStride};
  }
  ColumnPanels panelRange(Index begin, Index end) const {
    const Index first = begin * kTileColumns<T>;
    const Index last = end * kTileColumns<T>;
    return {panel(begin), depth, (last < columns ? last : columns) - first, panelStride};
  }
  operator ColumnPanels<const T>() const requires(!std::is_const_v<T>) {
    return {data, depth, columns, panelStride};
  }
};

template <class T>
constexpr ByteCount rowPanelsSize(Index rows, Index depth) {
  return ByteCount{roundUp(rows, kTileRows<T>)} * depth;
}
template <class T>
constexpr ByteCount columnPanelsSize(Index depth, Index columns) {
  return ByteCount{roundUp(columns, kTileColumns<T>)} * depth;
}

template <class T>
RowPanels<T> rowPanels(const T* data, Index rows, Index depth) {
  return {data, rows, depth, kTileRows<T> * depth};
}
/// The depth of blocks for a left operand: a multiple of `multiple`, for parts of the depth that are taken out must not
/// lie across blocks. The depth itself where no such blocks below kMostDepth exist.
template <class T>
constexpr Index blockDepthFor(Index depth, Index multiple) {
  const Index fewest = ceilDivide(depth, kMostDepth<T>);
  for (Index blocks = fewest; blocks > 0 && blocks <= 2 * fewest; ++blocks) {
    if (depth % (blocks * multiple) == 0) return depth / blocks;
  }
  return depth;
}
/// The same in blocks of the depth: see blockDepthFor.
template <class T>
RowPanels<T> blockedRowPanels(const T* data, Index rows, Index depth, Index multiple) {
  const Index blockDepth = blockDepthFor<T>(depth, multiple);
  return {data,
          rows,
          depth,
          kTileRows<T> * blockDepth,
          blockDepth > 0 ? blockDepth : 1,
          roundUp(rows, kTileRows<T>) * blockDepth};
}
template <class T>
ColumnPanels<T> columnPanels(T* data, Index depth, Index columns) {
  return {data, depth, columns, kTileColumns<T> * depth};
}

/// Packs matrix [rows × depth] as a left operand into rowPanelsSize(rows, depth) elements. `panelStride`: for a matrix
/// that is only a range of the depth of larger panels.
template <class T>
RowPanels<T> packRows(MatrixView<const T> matrix, T* destination, Index panelStride);
template <class T>
RowPanels<T> packRows(MatrixView<const T> matrix, T* destination) {
  return packRows(matrix, destination, kTileRows<T> * matrix.columns);
}

/// Packs a matrix as a part of the panels described by `all`, whose memory begins at `memory`: from row `firstRow`, a
/// multiple of kTileRows, and depth `firstDepth` on.
template <class T>
void packRowsInto(MatrixView<const T> matrix, T* memory, const RowPanels<T>& all, Index firstRow,
                  Index firstDepth);

/// Packs matrix [depth × columns] as a right operand into columnPanelsSize(depth, columns) elements; missing columns
/// become zero.
template <class T>
ColumnPanels<T> packColumns(MatrixView<const T> matrix, T* destination);

/// The same into the panels given, which may be a range of the depth of larger ones.
template <class T>
void packColumns(MatrixView<const T> matrix, ColumnPanels<T> destination);

/// A matrix out of its panels, into one of any strides.
template <class T>
void unpackColumns(ColumnPanels<const T> source, MatrixView<T> destination);

/// The transpose of a matrix held in column panels [rows × columns], packed as a right operand of depth `columns`.
template <class T>
ColumnPanels<T> packTransposed(ColumnPanels<const T> source, T* destination);

/// A matrix [rows × columns] held in column panels, packed as a left operand of depth `columns`.
template <class T>
RowPanels<T> packRows(ColumnPanels<const T> source, T* destination);

}  // namespace cross_attention::linalg
