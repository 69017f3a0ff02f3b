#pragma once

#include "operators/activation.hpp"
#include "operators/convolution.hpp"
#include "operators/layer_norm.hpp"
#include "operators/linear.hpp"
#include "operators/modulation.hpp"

namespace cross_attention::denoiser {

using operators::ParameterSet;

/// A residual block of a diffusion U-Net (Ho et al., 2020, appendix B; the time scales and shifts as in Dhariwal and
/// Nichol, 2021, section 3): x += conv(silu(modulate(norm(conv(silu(norm(x))))))), every pixel normalised by itself.
template <class T>
class ConvolutionBlock {
 public:
  /// `side`: pixels along a side of the picture; `timeFeatures`: of the time's embedding.
  ConvolutionBlock(ParameterSet<T>& parameters, const std::string& name, Index side, Index features,
                   Index timeFeatures);

  /// pixels: [batch, side², features]; time: [batch, 1, timeFeatures].
  Tensor<T> forward(const Tensor<T>& pixels, const Tensor<T>& time, bool keep);
  /// dL/d(pixels); adds to the gradient of the time.
  Tensor<T> backward(const Tensor<T>& outputGradient, Tensor<T>& timeGradient);

 private:
  operators::LayerNorm<T> inNorm_;
  operators::Activation<T, operators::Silu> inSilu_;
  operators::Convolution<T> in_;
  operators::LayerNorm<T> outNorm_;
  operators::Linear<T> modulation_;
  operators::Modulate<T> modulate_{0};
  operators::Activation<T, operators::Silu> outSilu_;
  operators::Convolution<T> out_;
};

}  // namespace cross_attention::denoiser
