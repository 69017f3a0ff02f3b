#pragma once

#include <optional>
#include <string>

#include "core/shape.hpp"
#include "linalg/matrix_view.hpp"

namespace cross_attention::layer {

/// How the tokens of a batch lie in a tensor: an image [B, C, H, W] holds them as columns, [B, N, C] and [N, C] as rows.
struct TokenLayout {
  Shape shape;
  Index batch = 0;
  Index tokens = 0;
  Index channels = 0;
  bool channelsFirst = false;

  /// Throws kShape, naming `argument`, where the shape is no [B, channels, H, W], [B, N, channels] or [N, channels].
  static TokenLayout ofInput(const Shape& shape, Index channels, const char* argument);
  /// The same for [B, L, channels] and [L, channels].
  static TokenLayout ofContext(const Shape& shape, Index channels);

  /// channels × tokens of one batch row.
  template <class T>
  linalg::MatrixView<T> channelsByTokens(T* data, Index batchRow) const {
    T* begin = data + batchRow * tokens * channels;
    if (channelsFirst) return {begin, channels, tokens, tokens, 1};
    return {begin, channels, tokens, 1, channels};
  }
};

}  // namespace cross_attention::layer
