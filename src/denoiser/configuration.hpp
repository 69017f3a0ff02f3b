#pragma once

#include "core/index.hpp"

namespace cross_attention::denoiser {

/// What a denoiser is built from; checked by validate.
struct Configuration {
  Index imageSize = 32;      ///< pixels a side
  Index pixelFeatures = 16;  ///< of a pixel
  Index pixelBlocks = 1;     ///< of convolutions at each resolution, before the transformer
  Index patch = 4;           ///< pixels a side that make one token: a power of two that divides imageSize
  Index features = 128;      ///< of a token; a multiple of numHeads
  Index blocks = 5;
  Index numHeads = 4;
  Index textFeatures = 128;  ///< of a word; a multiple of textHeads
  Index textBlocks = 2;
  Index textHeads = 4;
  Index maxWords = 24;  ///< of a prompt, the start token counted
  Index expansion = 4;  ///< hidden features of a feed-forward network, in multiples of its features

  static constexpr Index kChannels = 3;

  Index tokensAcross() const { return imageSize / patch; }
  Index tokens() const { return tokensAcross() * tokensAcross(); }
  Index patchValues() const { return patch * patch * pixelFeatures; }
  /// After the transformer one more, as in Ho et al.'s U-Net.
  Index pixelBlocksAfter() const { return pixelBlocks == 0 ? 0 : pixelBlocks + 1; }
  bool operator==(const Configuration&) const = default;
};

/// Throws kArgument, naming the member, where such a model cannot be.
void validate(const Configuration& configuration);

}  // namespace cross_attention::denoiser
