#pragma once

#include "core/tensor.hpp"

namespace cross_attention::operators {

/// y = (x - mean(x)) / √(variance(x) + 1e-6) of each row x: [..., features], without scale and shift of its own (Ba et
/// al., "Layer normalization", 2016): what follows has them, a modulation by the time or the weights of a product.
template <class T>
class LayerNorm {
 public:
  Tensor<T> forward(const Tensor<T>& input, bool keep);
  /// dL/dx, of the last forward that was kept.
  Tensor<T> backward(const Tensor<T>& outputGradient);

 private:
  Tensor<T> output_;
  Buffer<T> inverseDeviation_;  ///< one a row
};

}  // namespace cross_attention::operators
