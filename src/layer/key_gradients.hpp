#pragma once

#include "core/buffer.hpp"
#include "linalg/matrix_view.hpp"
#include "linalg/tile.hpp"

namespace cross_attention::layer {

/// The gradients of the keys and values of one key/value batch, both innerDim × keys. The gradient of the
/// keys lacks the factor by which the keys are multiplied.
template <class T>
struct KeyGradients {
  /// Rows have space for one more tile, because products write whole tiles.
  KeyGradients(Index innerDim, Index maxKeys)
      : stride(roundUp(maxKeys, linalg::kTileColumns<T>) + linalg::kTileColumns<T>),
        keys(ByteCount{innerDim} * stride),
        values(ByteCount{innerDim} * stride) {}

  linalg::MatrixView<T> rows(Buffer<T>& gradient, Index firstChannel, Index channels, Index columns) const {
    return {gradient.data() + firstChannel * stride, channels, columns, stride, 1};
  }

  Index stride;
  Buffer<T> keys, values;
};

}  // namespace cross_attention::layer
