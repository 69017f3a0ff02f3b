#pragma once

#include <algorithm>

#include "core/tensor.hpp"

namespace cross_attention::denoiser {

/// Values in one row of the first dimension.
template <class T>
Index rowSize(const Tensor<T>& tensor) {
  return tensor.shape()[0] == 0 ? 0 : tensor.size() / tensor.shape()[0];
}

/// Rows begin … begin + count - 1 of the first dimension, copied.
template <class T>
Tensor<T> batchRows(const Tensor<T>& tensor, Index begin, Index count) {
  std::vector<std::int64_t> dimensions(tensor.shape().begin(), tensor.shape().end());
  dimensions[0] = count;
  Tensor<T> rows(Shape::checked(dimensions, "rows"));
  const T* first = tensor.data() + begin * rowSize(tensor);
  std::copy(first, first + rows.size(), rows.begin());
  return rows;
}

/// Puts rows in place of those from `begin` on.
template <class T>
void setBatchRows(Tensor<T>& tensor, Index begin, const Tensor<T>& rows) {
  std::copy(rows.begin(), rows.end(), tensor.data() + begin * rowSize(tensor));
}

}  // namespace cross_attention::denoiser
