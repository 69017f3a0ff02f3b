#pragma once

#include "core/index.hpp"

namespace cross_attention::denoiser {

/// What a denoiser is built from; checked by validate.
struct Configuration {
  Index imageSize = 32;      ///< pixels a side
  Index pixelFeatures = 32;  ///< of a pixel
  Index pixelBlocks = 2;     ///< before the transformer, and as many after it
  Index patch = 4;           ///< pixels a side that make one token; divides imageSize
  Index features = 128;      ///< of a token; a multiple of numHeads
  Index blocks = 6;
  Index numHeads = 4;
  Index textFeatures = 128;  ///< of a word; a multiple of textHeads
  Index textBlocks = 2;
  Index textHeads = 4;
  Index mostWords = 24;  ///< of a prompt, the start token counted
  Index expansion = 4;  ///< hidden features of a feed-forward network, in multiples of its features

  static constexpr Index kChannels = 3;

  Index tokensAcross() const { return imageSize / patch; }
  Index tokens() const { return tokensAcross() * tokensAcross(); }
  Index patchValues() const { return patch * patch * pixelFeatures; }
  bool operator==(const Configuration&) const = default;
};

/// Throws kArgument, naming the member, where such a model cannot be.
void validate(const Configuration& configuration);

}  // namespace cross_attention::denoiser
