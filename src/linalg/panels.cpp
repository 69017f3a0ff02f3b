#include "linalg/panels.hpp"

#include <algorithm>

#include "simd/transpose.hpp"

namespace cross_attention::linalg {

namespace {

/// Writes up to Width rows of `depth` values as `depth` groups of Width values: value r of group k is
/// source(r, k), or zero if row r does not exist.
template <Index Width, class T>
void interleaveAny(MatrixView<const T> source, T* destination) {
  for (Index depth = 0; depth < source.columns; ++depth, destination += Width) {
    for (Index row = 0; row < source.rows; ++row) destination[row] = *source.at(row, depth);
    for (Index row = source.rows; row < Width; ++row) destination[row] = T(0);
  }
}

/// Calls work(row) for vectors that cover rows 0 … Width - 1. The last vector overlaps the one before it if
/// kLanes does not divide Width.
template <Index Width, class T, class Work>
inline void forVectorsOfGroup(Work work) {
  constexpr Index kLanes = simd::kLanes<T>;
  static_assert(kLanes <= Width);
  for (Index row = 0; row < Width; row += kLanes) work(row + kLanes > Width ? Width - kLanes : row);
}

/// Interleaves kLanes values from each of Width contiguous rows: blocks of kLanes × kLanes are transposed in
/// registers.
template <Index Width, class T>
[[gnu::always_inline]] inline void interleaveBlock(const T* source, Index rowStride, T* destination) {
  forVectorsOfGroup<Width, T>([&](Index row) {
    simd::transposeBlock(source + row * rowStride, rowStride, destination + row, Width);
  });
}

/// interleaveAny for Width rows with contiguous values.
template <Index Width, class T>
inline void interleaveContiguous(MatrixView<const T> source, T* destination) {
  constexpr Index kLanes = simd::kLanes<T>;
  Index depth = 0;
  for (; depth + kLanes <= source.columns; depth += kLanes, destination += kLanes * Width) {
    interleaveBlock<Width>(source.at(0, depth), source.rowStride, destination);
  }
  interleaveAny<Width>(source.columnRange(depth, source.columns - depth), destination);
}

/// interleaveAny for Width rows whose values of one depth are contiguous: plain copies.
template <Index Width, class T>
inline void interleaveCopy(MatrixView<const T> source, T* destination) {
  const T* from = source.data;
  for (Index depth = 0; depth < source.columns; ++depth) {
    forVectorsOfGroup<Width, T>([&](Index row) { simd::store(destination + row, simd::load(from + row)); });
    from += source.columnStride;
    destination += Width;
  }
}

/// Called for a whole panel. Not inlined, because it has many callers.
template <Index Width, class T>
[[gnu::noinline]] void interleave(MatrixView<const T> source, T* destination) {
  if constexpr (simd::kLanes<T> <= Width) {
    if (source.rows == Width && source.rowStride == 1) {
      return interleaveCopy<Width>(source, destination);
    }
    if (source.rows == Width && source.columnStride == 1) {
      return interleaveContiguous<Width>(source, destination);
    }
  }
  interleaveAny<Width>(source, destination);
}

/// Interleaves groups of Width rows (depths) of a matrix in column panels. `panel` is the destination of one
/// group.
template <Index Width, class T>
void interleavePanels(ColumnPanels<const T> source, T* destination) {
  constexpr Index kColumns = kTileColumns<T>;
  for (Index row = 0; row < source.depth; row += Width) {
    T* panel = destination + row * source.columns;
    const Index rows = std::min(Width, source.depth - row);
    for (Index column = 0; column < source.columns; column += kColumns) {
      const T* block = source.panel(column / kColumns) + row * kColumns;
      if constexpr (simd::kLanes<T> <= Width) {
        if (rows == Width && column + kColumns <= source.columns) {
          for (Index part = 0; part < kColumns; part += simd::kLanes<T>) {
            interleaveBlock<Width>(block + part, kColumns, panel + (column + part) * Width);
          }
          continue;
        }
      }
      interleave<Width>(
          MatrixView<const T>{block, rows, std::min(kColumns, source.columns - column), kColumns, 1},
          panel + column * Width);
    }
  }
}

}  // namespace

template <class T>
RowPanels<T> packRows(MatrixView<const T> matrix, T* destination, Index panelStride) {
  constexpr Index kWidth = kTileRows<T>;
  const RowPanels<T> panels{destination, matrix.rows, matrix.columns, panelStride};
  for (Index row = 0; row < matrix.rows; row += kWidth) {
    interleave<kWidth>(matrix.rowRange(row, std::min(kWidth, matrix.rows - row)),
                       destination + row / kWidth * panelStride);
  }
  return panels;
}

template <class T>
void packRowsInto(MatrixView<const T> matrix, T* memory, const RowPanels<T>& all, Index firstRow,
                  Index firstDepth) {
  T* firstPanel = memory + firstRow / kTileRows<T> * all.panelStride;
  Index count = 0;
  for (Index column = 0; column < matrix.columns; column += count) {
    const Index depth = firstDepth + column;
    count = std::min(all.blockDepth - depth % all.blockDepth, matrix.columns - column);
    packRows(matrix.columnRange(column, count), firstPanel + all.offset(depth), all.panelStride);
  }
}

template <class T>
void packColumns(MatrixView<const T> matrix, ColumnPanels<T> destination) {
  constexpr Index kWidth = kTileColumns<T>;
  const MatrixView<const T> columns = matrix.transposed();
  for (Index column = 0; column < columns.rows; column += kWidth) {
    interleave<kWidth>(columns.rowRange(column, std::min(kWidth, columns.rows - column)),
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
    const MatrixView<T> part = destination.columnRange(column, std::min(kWidth, source.columns - column));
    Index row = 0;
    if (part.rowStride == 1 && part.columns == kWidth) {
      for (; row + kLanes <= part.rows; row += kLanes) {
        for (Index half = 0; half < kWidth; half += kLanes) {
          simd::transposeBlock(panel + row * kWidth + half, kWidth, part.at(row, half), part.columnStride);
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
  interleavePanels<kTileColumns<T>>(source, destination);
  return columnPanels(destination, source.columns, source.depth);
}

template <class T>
RowPanels<T> packRows(ColumnPanels<const T> source, T* destination) {
  interleavePanels<kTileRows<T>>(source, destination);
  return rowPanels<T>(destination, source.depth, source.columns);
}

#define CROSS_ATTENTION_INSTANTIATE(T)                                                    \
  template RowPanels<T> packRows(MatrixView<const T>, T*, Index);                         \
  template void packRowsInto(MatrixView<const T>, T*, const RowPanels<T>&, Index, Index); \
  template void packColumns(MatrixView<const T>, ColumnPanels<T>);                        \
  template ColumnPanels<T> packColumns(MatrixView<const T>, T*);                          \
  template void unpackColumns(ColumnPanels<const T>, MatrixView<T>);                      \
  template ColumnPanels<T> packTransposed(ColumnPanels<const T>, T*);                     \
  template RowPanels<T> packRows(ColumnPanels<const T>, T*);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::linalg
