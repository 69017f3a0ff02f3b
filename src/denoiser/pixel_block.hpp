#pragma once

#include "denoiser/feed_forward.hpp"
#include "operators/layer_norm.hpp"

namespace cross_attention::denoiser {

/// x += feedForward(norm(x)) of pixels, whose hidden features are mixed with those of the eight pixels around: a ConvNeXt
/// block (Liu et al., 2022) in other words.
template <class T>
class PixelBlock {
 public:
  /// `side`: pixels along a side of the picture.
  PixelBlock(operators::ParameterSet<T>& parameters, const std::string& name, Index side,
             Index features, Index hiddenFeatures);

  /// pixels: [batch, side², features].
  Tensor<T> forward(const Tensor<T>& pixels, bool keep);
  Tensor<T> backward(const Tensor<T>& outputGradient);

 private:
  operators::LayerNorm<T> norm_;
  FeedForward<T> feedForward_;
};

}  // namespace cross_attention::denoiser
