#pragma once

#include "core/tensor.hpp"
#include "operators/parameter.hpp"

namespace cross_attention::operators {

/// A depthwise 3×3 convolution of tokens on a square grid with zero padding: x [batch, side², features] →
/// y[r, c, f] = Σ w[dr, dc, f]·x[r + dr, c + dc, f]. Parameter: `name`.weight [3, 3, features], initialized
/// to the identity.
///
/// It gives a token local context and position, which attention would have to learn from positional
/// embeddings alone. Based on: Xie et al., "SegFormer" (2021), section 3.1, in feed-forward networks; Xie et
/// al., "SANA" (2024), section 2.2, in a diffusion model.
template <class T>
class DepthwiseConvolution {
 public:
  DepthwiseConvolution(ParameterSet<T>& parameters, const std::string& name, Index side, Index features);

  Tensor<T> forward(const Tensor<T>& input, bool saveForBackward);
  /// Returns dL/dx, and adds to the weight's gradient if it is trainable. Requires that the last forward had
  /// saveForBackward.
  Tensor<T> backward(const Tensor<T>& outputGradient);

 private:
  void addWeightGradient(const Tensor<T>& outputGradient);

  Index side_;
  Parameter<T>& weight_;
  Tensor<T> input_;
};

}  // namespace cross_attention::operators
