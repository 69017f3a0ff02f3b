#pragma once

#include "linalg/panels.hpp"

namespace cross_attention::linalg {

/// What the sums of a product start from.
enum class Start {
  kZero,        ///< result = product
  kBias,        ///< result = bias of the row + product
  kAccumulate,  ///< result += product
};

/// result (rows × columns, in column panels of depth `rows`) from left (rows × depth) · right (depth × columns): how
/// every product within the layer is written, so that it is the right operand of the next one without another copy.
/// Writes whole panels: the columns missing from the last one get the products of what `right` holds there.
/// `bias`: one value a row, for Start::kBias.
template <class T>
void multiply(RowPanels<T> left, ColumnPanels<const T> right, ColumnPanels<T> result,
              Start start = Start::kZero, const T* bias = nullptr);

/// The same into a matrix of any strides: an image or tokens.
template <class T>
void multiply(RowPanels<T> left, ColumnPanels<const T> right, MatrixView<T> result,
              Start start = Start::kZero, const T* bias = nullptr);

}  // namespace cross_attention::linalg
