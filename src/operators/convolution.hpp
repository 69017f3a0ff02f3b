#pragma once

#include <optional>

#include "core/tensor.hpp"
#include "operators/parameter.hpp"

namespace cross_attention::operators {

/// A 3×3 convolution of pixels on a square grid with zero padding, without bias: x [batch, side², inFeatures]
/// → y[r, c, o] = Σ w[dr, dc, i, o]·x[r + dr, c + dc, i]. Parameter: `name`.weight [3, 3, inFeatures,
/// outFeatures].
template <class T>
class Convolution {
 public:
  Convolution(ParameterSet<T>& parameters, const std::string& name, Index side, Index inFeatures,
              Index outFeatures, std::optional<Initial> weight = {});

  Tensor<T> forward(const Tensor<T>& input, bool saveForBackward);
  /// Returns dL/dx, and adds to the weight's gradient if it is trainable. Requires a forward with
  /// saveForBackward.
  Tensor<T> backward(const Tensor<T>& outputGradient);

 private:
  void addWeightGradient(const Tensor<T>& borderedGradient);

  Index side_;
  Index inFeatures_;
  Index outFeatures_;
  Parameter<T>& weight_;
  Tensor<T> input_;  ///< with a border of zeros
};

}  // namespace cross_attention::operators
