#pragma once

#include <optional>

#include "core/tensor.hpp"
#include "operators/parameter.hpp"

namespace cross_attention::operators {

/// y = x·Wᵀ + b of rows x: [..., inFeatures] → [..., outFeatures]. Parameters `name`.weight [outFeatures, inFeatures] and
/// `name`.bias [outFeatures], as PyTorch's Linear.
template <class T>
class Linear {
 public:
  Linear(ParameterSet<T>& parameters, const std::string& name, Index inFeatures, Index outFeatures,
         std::optional<Initial> weight = {});

  /// `keep`: for a backward, which then refers to the input's elements.
  Tensor<T> forward(const Tensor<T>& input, bool keep);
  /// dL/dx; adds to the gradients of W and b where they are trainable. Of the last forward that was kept.
  Tensor<T> backward(const Tensor<T>& outputGradient);

  Parameter<T>& weight() { return weight_; }

 private:
  Tensor<T> inputGradient(const Tensor<T>& outputGradient);
  void addWeightGradient(const Tensor<T>& outputGradient);
  void addBiasGradient(const Tensor<T>& outputGradient);

  Index inFeatures_;
  Index outFeatures_;
  Parameter<T>& weight_;
  Parameter<T>& bias_;
  Tensor<T> input_;
};

}  // namespace cross_attention::operators
