#pragma once

#include <optional>

#include "core/tensor.hpp"
#include "operators/parameter.hpp"

namespace cross_attention::operators {

/// A 3×3 convolution of pixels on a square grid, with zeros around it: x [batch, side², inFeatures] →
/// y[r, c, o] = Σ w[dr, dc, i, o]·x[r + dr, c + dc, i]. Parameter `name`.weight [3, 3, inFeatures, outFeatures]; no bias.
template <class T>
class Convolution {
 public:
  Convolution(ParameterSet<T>& parameters, const std::string& name, Index side, Index inFeatures,
              Index outFeatures, std::optional<Initial> weight = {});

  Tensor<T> forward(const Tensor<T>& input, bool keep);
  /// dL/dx; adds to the weight's gradient where it is trainable. Of the last forward that was kept.
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
