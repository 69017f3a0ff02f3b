#pragma once

#include "core/tensor.hpp"

namespace cross_attention::operators {

/// y = x·sigmoid(x): Elfwing et al., "Sigmoid-weighted linear units" (2018).
struct Silu {
  template <class V>
  static V gate(V x);
  template <class V>
  static V gateSlope(V x);
};

/// y = x·sigmoid(√(8/π)·(x + 0.044715·x³)): the tanh approximation of Hendrycks and Gimpel, "Gaussian error linear units"
/// (2016), which PyTorch calls approximate='tanh'.
struct Gelu {
  template <class V>
  static V gate(V x);
  template <class V>
  static V gateSlope(V x);
};

/// y = x·sigmoid(g(x)), element by element, with the g of `Kind`.
template <class T, class Kind>
class Activation {
 public:
  Tensor<T> forward(const Tensor<T>& input, bool keep);
  /// dL/dx, of the last forward that was kept.
  Tensor<T> backward(const Tensor<T>& outputGradient);

 private:
  Tensor<T> input_;
};

}  // namespace cross_attention::operators
