#pragma once

#include <optional>

#include "core/tensor.hpp"
#include "operators/parameter.hpp"

namespace cross_attention::operators {

/// A linear layer y = x·Wᵀ + b of rows x: [..., inFeatures] → [..., outFeatures]. Parameters: `name`.weight
/// [outFeatures, inFeatures] and `name`.bias [outFeatures], as in PyTorch's Linear.
template <class T>
class Linear {
 public:
  Linear(ParameterSet<T>& parameters, const std::string& name, Index inFeatures, Index outFeatures,
         std::optional<Initial> weight = {});

  /// `saveForBackward`: the layer then references the input's elements.
  Tensor<T> forward(const Tensor<T>& input, bool saveForBackward);
  /// Returns dL/dx, and adds to the gradients of W and b if they are trainable. Requires a forward with
  /// saveForBackward.
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
