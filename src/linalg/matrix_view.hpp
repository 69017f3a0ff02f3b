#pragma once

#include <type_traits>

#include "core/index.hpp"

namespace cross_attention::linalg {

/// A view of a matrix that does not own its memory. Element (row, column) lies at data[row · rowStride +
/// column · columnStride]. By strides alone, both an image [C, H·W] and tokens [N, C] are a matrix of
/// channels × tokens.
template <class T>
struct MatrixView {
  T* data;
  Index rows;
  Index columns;
  Index rowStride;
  Index columnStride;

  T* at(Index row, Index column) const { return data + row * rowStride + column * columnStride; }
  MatrixView transposed() const { return {data, columns, rows, columnStride, rowStride}; }
  MatrixView rowRange(Index begin, Index count) const {
    return {at(begin, 0), count, columns, rowStride, columnStride};
  }
  MatrixView columnRange(Index begin, Index count) const {
    return {at(0, begin), rows, count, rowStride, columnStride};
  }
  operator MatrixView<const T>() const requires(!std::is_const_v<T>) {
    return {data, rows, columns, rowStride, columnStride};
  }
};

/// Returns a view of contiguous rows.
template <class T>
MatrixView<T> rowMajor(T* data, Index rows, Index columns) {
  return {data, rows, columns, columns, 1};
}

}  // namespace cross_attention::linalg
