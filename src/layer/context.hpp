#pragma once

#include "core/tensor.hpp"
#include "layer/token_layout.hpp"

namespace cross_attention::layer {

/// The context of one call: the caller's tensor, or the input for self-attention.
template <class T>
struct Context {
  Tensor<T> tensor;
  TokenLayout layout;
  bool isInput = false;

  /// Returns one batch row as a matrix of length × contextDim. A context of batch 1 has the same matrix for
  /// all batch rows.
  linalg::MatrixView<const T> rows(Index batchRow) const {
    return layout.channelsByTokens(tensor.data(), layout.batch == 1 ? 0 : batchRow).transposed();
  }
};

/// True if no element is NaN or infinite.
template <class T>
bool isFinite(linalg::MatrixView<const T> matrix);

}  // namespace cross_attention::layer
