#pragma once

#include "linalg/panels.hpp"

namespace cross_attention::linalg {

/// The initial value of a product's sums.
enum class Start {
  kZero,        ///< result = product
  kBias,        ///< result = bias of the row + product
  kAccumulate,  ///< result += product
};

/// Multiplies left (rows × depth) · right (depth × columns) into `result` (rows × columns, in column panels
/// of depth `rows`). Products within the layer are written this way, so that each is the right operand of the
/// next one without a copy. Writes whole panels: columns beyond the last valid one receive the products of
/// what `right` holds there. `bias`: one value per row, for Start::kBias.
template <class T>
void multiply(RowPanels<T> left, ColumnPanels<const T> right, ColumnPanels<T> result,
              Start start = Start::kZero, const T* bias = nullptr);

/// Multiplies into a matrix of any strides, such as an image or tokens.
template <class T>
void multiply(RowPanels<T> left, ColumnPanels<const T> right, MatrixView<T> result,
              Start start = Start::kZero, const T* bias = nullptr);

}  // namespace cross_attention::linalg
