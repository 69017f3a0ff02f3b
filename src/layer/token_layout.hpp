#pragma once

#include <optional>

#include "core/shape.hpp"
#include "linalg/matrix_view.hpp"

namespace cross_attention::layer {

/// How a tensor stores the tokens of a batch: an image [B, C, H, W] as columns, [B, N, C] and [N, C] as rows.
struct TokenLayout {
  Shape shape;
  Index batch = 0;
  Index tokens = 0;
  Index channels = 0;
  bool channelsFirst = false;

  /// Accepts [B, channels, H, W], [B, N, channels] and [N, channels]; returns nothing for another shape.
  static std::optional<TokenLayout> ofInput(const Shape& shape, Index channels);
  /// Accepts [B, L, channels] and [L, channels]; returns nothing for another shape.
  static std::optional<TokenLayout> ofContext(const Shape& shape, Index channels);

  /// Returns the same layout with another number of channels.
  TokenLayout withChannels(Index count) const;

  /// Returns channels × tokens of one batch row.
  template <class T>
  linalg::MatrixView<T> channelsByTokens(T* data, Index batchRow) const {
    T* begin = data + batchRow * tokens * channels;
    if (channelsFirst) return {begin, channels, tokens, tokens, 1};
    return {begin, channels, tokens, 1, channels};
  }
};

}  // namespace cross_attention::layer
