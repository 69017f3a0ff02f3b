#include "linalg/panels.hpp"

#include <algorithm>

#include "simd/transpose.hpp"

namespace cross_attention::linalg {

namespace {

/// `count` rows of `depth` values each, written as `depth` groups of `width` values `destinationStride` apart: value r
/// of group k is source(r, k), zero for r ≥ count.
template <class T>
void interleaveAny(MatrixView<const T> source, Index width, T* destination,
                   Index destinationStride) {
  for (Index depth = 0; depth < source.columns; ++depth) {
    T* group = destination + depth * destinationStride;
    for (Index row = 0; row < source.rows; ++row) group[row] = *source.at(row, depth);
    for (Index row = source.rows; row < width; ++row) group[row] = T(0);
  }
}

/// The same for a full group whose rows are contiguous: blocks of kLanes × kLanes are transposed in registers, the last
/// block of a group overlapping the one before it where kLanes does not divide the width.
template <class T>
void interleaveContiguous(MatrixView<const T> source, Index width, T* destination,
                          Index destinationStride) {
  constexpr Index kLanes = simd::kLanes<T>;
  if (kLanes > width) return interleaveAny(source, width, destination, destinationStride);
  Index depth = 0;
  for (; depth + kLanes <= source.columns; depth += kLanes) {
    for (Index block = 0; block < width; block += kLanes) {
      const Index row = std::min(block, width - kLanes);
      simd::transposeBlock(source.at(row, depth), source.rowStride,
                           destination + depth * destinationStride + row, destinationStride);
    }
  }
  interleaveAny(source.columnRange(depth, source.columns - depth), width,
                destination + depth * destinationStride, destinationStride);
}

/// The same for a full group whose columns are contiguous: plain copies, vectors overlapping likewise.
template <class T>
void interleaveCopy(MatrixView<const T> source, Index width, T* destination,
                    Index destinationStride) {
  constexpr Index kLanes = simd::kLanes<T>;
  if (kLanes > width) return interleaveAny(source, width, destination, destinationStride);
  for (Index depth = 0; depth < source.columns; ++depth) {
    const T* from = source.at(0, depth);
    T* group = destination + depth * destinationStride;
    for (Index block = 0; block < width; block += kLanes) {
      const Index row = std::min(block, width - kLanes);
      simd::store(group + row, simd::load(from + row));
    }
  }
}

template <class T>
void interleave(MatrixView<const T> source, Index width, T* destination) {
  if (source.rows < width) return interleaveAny(source, width, destination, width);
  if (source.rowStride == 1) return interleaveCopy(source, width, destination, width);
  if (source.columnStride == 1) return interleaveContiguous(source, width, destination, width);
  return interleaveAny(source, width, destination, width);
}

}  // namespace

template <class T>
RowPanels<T> packRows(MatrixView<const T> matrix, T* destination, Index panelStride) {
  constexpr Index kWidth = kTileRows<T>;
  const RowPanels<T> panels{destination, matrix.rows, matrix.columns, panelStride};
  for (Index row = 0; row < matrix.rows; row += kWidth) {
    interleave(matrix.rowRange(row, std::min(kWidth, matrix.rows - row)), kWidth,
               destination + row / kWidth * panelStride);
  }
  return panels;
}

template <class T>
void packColumns(MatrixView<const T> matrix, ColumnPanels<T> destination) {
  constexpr Index kWidth = kTileColumns<T>;
  const MatrixView<const T> columns = matrix.transposed();
  for (Index column = 0; column < columns.rows; column += kWidth) {
    interleave(columns.rowRange(column, std::min(kWidth, columns.rows - column)), kWidth,
               destination.panel(column / kWidth));
  }
}

template <class T>
ColumnPanels<T> packColumns(MatrixView<const T> matrix, T* destination) {
  const ColumnPanels<T> panels = columnPanels(destination, matrix.rows, matrix.columns);
  packColumns(matrix, panels);
  return panels;
}

template <class T>
void unpackColumns(ColumnPanels<const T> source, MatrixView<T> destination) {
  constexpr Index kWidth = kTileColumns<T>;
  constexpr Index kLanes = simd::kLanes<T>;
  for (Index column = 0; column < source.columns; column += kWidth) {
    const T* panel = source.panel(column / kWidth);
    const MatrixView<T> part =
        destination.columnRange(column, std::min(kWidth, source.columns - column));
    Index row = 0;
    if (part.rowStride == 1 && part.columns == kWidth) {
      for (; row + kLanes <= part.rows; row += kLanes) {
        for (Index half = 0; half < kWidth; half += kLanes) {
          simd::transposeBlock(panel + row * kWidth + half, kWidth, part.at(row, half),
                               part.columnStride);
        }
      }
    } else if (part.columnStride == 1 && part.columns == kWidth) {
      for (; row < part.rows; ++row) {
        for (Index half = 0; half < kWidth; half += kLanes) {
          simd::store(part.at(row, half), simd::load(panel + row * kWidth + half));
        }
      }
    }
    for (; row < part.rows; ++row) {
      for (Index inner = 0; inner < part.columns; ++inner) {
        *part.at(row, inner) = panel[row * kWidth + inner];
      }
    }
  }
}

template <class T>
ColumnPanels<T> packTransposed(ColumnPanels<const T> source, T* destination) {
  constexpr Index kWidth = kTileColumns<T>;
  const Index rows = source.depth;
  for (Index row = 0; row < rows; row += kWidth) {
    T* panel = destination + row * source.columns;
    for (Index column = 0; column < source.columns; column += kWidth) {
      const MatrixView<const T> block{source.panel(column / kWidth) + row * kWidth,
                                      std::min(kWidth, rows - row),
                                      std::min(kWidth, source.columns - column), kWidth, 1};
      interleave(block, kWidth, panel + column * kWidth);
    }
  }
  return columnPanels(destination, source.columns, rows);
}

template <class T>
RowPanels<T> packRows(ColumnPanels<const T> source, T* destination) {
  constexpr Index kWidth = kTileRows<T>;
  constexpr Index kColumns = kTileColumns<T>;
  const Index rows = source.depth;
  for (Index row = 0; row < rows; row += kWidth) {
    T* panel = destination + row * source.columns;
    for (Index column = 0; column < source.columns; column += kColumns) {
      const MatrixView<const T> block{source.panel(column / kColumns) + row * kColumns,
                                      std::min(kWidth, rows - row),
                                      std::min(kColumns, source.columns - column), kColumns, 1};
      interleave(block, kWidth, panel + column * kWidth);
    }
  }
  return rowPanels<T>(destination, rows, source.columns);
}

#define CROSS_ATTENTION_INSTANTIATE(T)                                \
  template RowPanels<T> packRows(MatrixView<const T>, T*, Index);     \
  template void packColumns(MatrixView<const T>, ColumnPanels<T>);    \
  template ColumnPanels<T> packColumns(MatrixView<const T>, T*);      \
  template void unpackColumns(ColumnPanels<const T>, MatrixView<T>);  \
  template ColumnPanels<T> packTransposed(ColumnPanels<const T>, T*); \
  template RowPanels<T> packRows(ColumnPanels<const T>, T*);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::linalg
