#pragma once

#include <optional>

#include "operators/activation.hpp"
#include "operators/depthwise_convolution.hpp"
#include "operators/linear.hpp"

namespace cross_attention::denoiser {

/// x → W₂·gelu(W₁·x): the parameters `name`.in and `name`.out. Of tokens on a grid: W₂·gelu(mix(W₁·x)), with a convolution
/// `name`.mix between them.
template <class T>
class FeedForward {
 public:
  /// `gridSide`: tokens along a side of their grid; 0: they lie on none.
  FeedForward(operators::ParameterSet<T>& parameters, const std::string& name, Index features,
              Index hiddenFeatures, Index gridSide = 0);

  Tensor<T> forward(const Tensor<T>& input, bool keep);
  Tensor<T> backward(const Tensor<T>& outputGradient);

 private:
  operators::Linear<T> in_;
  std::optional<operators::DepthwiseConvolution<T>> mix_;
  operators::Activation<T, operators::Gelu> gelu_;
  operators::Linear<T> out_;
};

}  // namespace cross_attention::denoiser
