#pragma once

#include "operators/activation.hpp"
#include "operators/linear.hpp"

namespace cross_attention::denoiser {

/// x → W₂·gelu(W₁·x): the parameters `name`.in and `name`.out.
template <class T>
class FeedForward {
 public:
  FeedForward(operators::ParameterSet<T>& parameters, const std::string& name, Index features,
              Index hiddenFeatures);

  Tensor<T> forward(const Tensor<T>& input, bool keep) {
    return out_.forward(gelu_.forward(in_.forward(input, keep), keep), keep);
  }
  Tensor<T> backward(const Tensor<T>& outputGradient) {
    return in_.backward(gelu_.backward(out_.backward(outputGradient)));
  }

 private:
  operators::Linear<T> in_;
  operators::Activation<T, operators::Gelu> gelu_;
  operators::Linear<T> out_;
};

}  // namespace cross_attention::denoiser
