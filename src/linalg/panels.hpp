#pragma once

#include "linalg/matrix_view.hpp"
#include "linalg/tile.hpp"

namespace cross_attention::linalg {

/// The packed left operand of a product: panels of kTileRows rows. A panel stores, for each depth (column),
/// the values of its rows side by side. Rows beyond the last valid one are zero. A deep matrix may be split
/// into blocks of its depth, with all panels of one block before those of the next. This is the order in
/// which multiply reads them: the processor prefetches contiguous memory, and panels with gaps between them
/// would each arrive late.
template <class T>
struct RowPanels {
  const T* data;
  Index rows;
  Index depth;
  /// Elements between panels: kTileRows · blockDepth, unless this is a part of deeper panels.
  Index panelStride;
  /// Depth of one block, a divisor of the depth. Equal to the depth if the operand is not split.
  Index blockDepth = depth > 0 ? depth : 1;
  Index blockStride = 0;  ///< elements between blocks

  Index panels() const { return ceilDivide(rows, kTileRows<T>); }
  /// Returns a panel of the first block.
  const T* panel(Index index) const { return data + index * panelStride; }
  RowPanels panelRange(Index begin, Index end) const {
    const Index first = begin * kTileRows<T>;
    const Index last = end * kTileRows<T>;
    return {panel(begin), (last < rows ? last : rows) - first, depth, panelStride, blockDepth, blockStride};
  }
  /// Returns the elements from `data` to depth `begin` of the first panel.
  Index offset(Index begin) const {
    return begin / blockDepth * blockStride + begin % blockDepth * kTileRows<T>;
  }
  /// The range must lie within one block.
  RowPanels depthRange(Index begin, Index count) const {
    return {data + offset(begin), rows, count, panelStride};
  }
};

/// The packed right operand of a product, or a result that will become one: panels of kTileColumns columns. A
/// panel stores, for each depth (row), the values of its columns side by side. Columns beyond the last valid
/// one hold arbitrary finite values.
template <class T>
struct ColumnPanels {
  T* data;
  Index depth;
  Index columns;
  /// Elements between panels: kTileColumns · depth, unless this is a part of deeper panels.
  Index panelStride;

  Index panels() const { return ceilDivide(columns, kTileColumns<T>); }
  T* panel(Index index) const { return data + index * panelStride; }
  /// Returns only the rows (depths) begin … begin + count - 1.
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
/// Returns the block depth of a left operand: a multiple of `multiple`, because parts that are taken from the
/// depth must not cross blocks. Returns the depth itself if no such blocks of at most kMaxDepth exist.
template <class T>
constexpr Index blockDepthFor(Index depth, Index multiple) {
  const Index minBlocks = ceilDivide(depth, kMaxDepth<T>);
  for (Index blocks = minBlocks; blocks > 0 && blocks <= 2 * minBlocks; ++blocks) {
    if (depth % (blocks * multiple) == 0) return depth / blocks;
  }
  return depth;
}
/// Returns row panels that are split into blocks: see blockDepthFor.
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

/// Packs matrix [rows × depth] as a left operand into rowPanelsSize(rows, depth) elements. Pass `panelStride`
/// if the matrix is only a range of the depth of larger panels.
template <class T>
RowPanels<T> packRows(MatrixView<const T> matrix, T* destination, Index panelStride);
template <class T>
RowPanels<T> packRows(MatrixView<const T> matrix, T* destination) {
  return packRows(matrix, destination, kTileRows<T> * matrix.columns);
}

/// Packs a matrix as a part of the panels `all`, whose memory begins at `memory`: from row `firstRow`, a
/// multiple of kTileRows, and from depth `firstDepth` on.
template <class T>
void packRowsInto(MatrixView<const T> matrix, T* memory, const RowPanels<T>& all, Index firstRow,
                  Index firstDepth);

/// Packs matrix [depth × columns] as a right operand into columnPanelsSize(depth, columns) elements. Sets
/// missing columns to zero.
template <class T>
ColumnPanels<T> packColumns(MatrixView<const T> matrix, T* destination);

/// Packs into existing panels, which may be a range of the depth of larger ones.
template <class T>
void packColumns(MatrixView<const T> matrix, ColumnPanels<T> destination);

/// Unpacks a matrix from its panels into memory of any strides.
template <class T>
void unpackColumns(ColumnPanels<const T> source, MatrixView<T> destination);

/// Packs the transpose of a matrix [rows × columns] in column panels as a right operand of depth `columns`.
template <class T>
ColumnPanels<T> packTransposed(ColumnPanels<const T> source, T* destination);

/// Packs a matrix [rows × columns] in column panels as a left operand of depth `columns`.
template <class T>
RowPanels<T> packRows(ColumnPanels<const T> source, T* destination);

}  // namespace cross_attention::linalg
