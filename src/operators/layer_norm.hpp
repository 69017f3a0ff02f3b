#pragma once

#include "core/tensor.hpp"

namespace cross_attention::operators {

/// Layer normalization y = (x - mean(x)) / √(variance(x) + 1e-6) of each row of x [..., features]. Without
/// learned scale and shift, because the operation that follows has them: a modulation or the weights of a
/// product. Based on: Ba et al., "Layer normalization" (2016).
template <class T>
class LayerNorm {
 public:
  Tensor<T> forward(const Tensor<T>& input, bool saveForBackward);
  /// Returns dL/dx. Requires a forward with saveForBackward.
  Tensor<T> backward(const Tensor<T>& outputGradient);

 private:
  Tensor<T> output_;
  Buffer<T> inverseDeviation_;  ///< one per row
};

}  // namespace cross_attention::operators
