#pragma once

#include "core/buffer.hpp"
#include "linalg/matrix_view.hpp"
#include "linalg/tile.hpp"

namespace cross_attention::layer {

/// The gradients of one set's keys and values, both queryDim × keys. The keys' lacks the factor that the keys have.
template <class T>
struct KeyGradients {
  /// Of at most `mostKeys` keys. Rows have room for another tile: products write whole ones.
  KeyGradients(Index queryDim, Index mostKeys)
      : stride(roundUp(mostKeys, linalg::kTileColumns<T>) + linalg::kTileColumns<T>),
        keys(ByteCount{queryDim} * stride),
        values(ByteCount{queryDim} * stride) {}

  linalg::MatrixView<T> rows(Buffer<T>& gradient, Index firstChannel, Index channels,
                             Index columns) const {
    return {gradient.data() + firstChannel * stride, channels, columns, stride, 1};
  }

  Index stride;
  Buffer<T> keys, values;
};

}  // namespace cross_attention::layer
