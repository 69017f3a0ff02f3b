#pragma once

#include "core/tensor.hpp"

namespace cross_attention::operators {

/// SiLU: y = x·sigmoid(x). Based on: Elfwing et al., "Sigmoid-weighted linear units" (2018).
struct Silu {
  template <class V>
  static V gate(V x);
  template <class V>
  static V gateDerivative(V x);
};

/// GELU with tanh approximation: y = x·sigmoid(√(8/π)·(x + 0.044715·x³)), PyTorch's approximate='tanh'. Based
/// on: Hendrycks and Gimpel, "Gaussian error linear units" (2016).
struct Gelu {
  template <class V>
  static V gate(V x);
  template <class V>
  static V gateDerivative(V x);
};

/// Elementwise activation y = x·sigmoid(g(x)), with g defined by `Kind`.
template <class T, class Kind>
class Activation {
 public:
  Tensor<T> forward(const Tensor<T>& input, bool saveForBackward);
  /// Returns dL/dx. Requires a forward with saveForBackward.
  Tensor<T> backward(const Tensor<T>& outputGradient);

 private:
  Tensor<T> input_;
};

}  // namespace cross_attention::operators
