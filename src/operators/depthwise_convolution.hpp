#pragma once

#include "core/tensor.hpp"
#include "operators/parameter.hpp"

namespace cross_attention::operators {

/// A 3×3 convolution of tokens that lie on a square grid, with zeros around it, each feature by itself:
/// x [batch, side², features] → y[r, c, f] = Σ w[dr, dc, f]·x[r + dr, c + dc, f]. It tells a token what its neighbours hold and which of them it is,
/// which attention has to learn from the places alone: Xie et al., "SegFormer" (2021, section 3.1), within the feed-forward
/// networks; Xie et al., "SANA" (2024, section 2.2), in a diffusion model. Parameter `name`.weight [3, 3, features], which
/// begins as the identity.
template <class T>
class DepthwiseConvolution {
 public:
  DepthwiseConvolution(ParameterSet<T>& parameters, const std::string& name, Index side,
                       Index features);

  Tensor<T> forward(const Tensor<T>& input, bool keep);
  /// dL/dx; adds to the weight's gradient where it is trainable. Of the last forward, if that was kept.
  Tensor<T> backward(const Tensor<T>& outputGradient);

 private:
  void addWeightGradient(const Tensor<T>& outputGradient);

  Index side_;
  Parameter<T>& weight_;
  Tensor<T> input_;
};

}  // namespace cross_attention::operators
