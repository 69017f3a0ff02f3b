#pragma once

#include "layer/activations.hpp"
#include "layer/key_gradients.hpp"
#include "layer/norm_gradients.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

/// The last part of a backward pass: from the gradients of a key/value batch's keys and values to
///   dWk += dkᵀ·c;  dWv += dvᵀ·c;  dbv += Σ dv;  dc = dk·Wk + dv·Wv
/// With a norm of the keys, dk is first brought back through it, and dbk += Σ dk. The gradient of what is
/// added last to all keys, bk without a norm or the norm's bias, is zero: the scores of a token all change by
/// the same amount, which softmax ignores.
template <class T>
class ContextGradients {
 public:
  /// Allocates all memory. `contextGradient`, of the context's shape, is added to; for self-attention it is
  /// the gradient of the input. `weights` contains requiredWeights. All arguments outlive this object.
  ContextGradients(const Configuration& configuration, Parameters<T>& parameters,
                   const PackedWeights<T>& weights, const Activations<T>& activations,
                   KeyGradients<T>& keyGradients, Tensor<T>& contextGradient);

  static constexpr PackedWeightSet requiredWeights(const Configuration& configuration) {
    if (!configuration.hasNorm()) return {};
    return {PackedWeight::kKeyPerHead};
  }

  /// Adds the stages of a key/value batch, after those that complete its key gradients.
  void addStages(Schedule& schedule, Index kvBatch);

 private:
  const ProjectedContext<T>& projected() const { return *activations_.projected; }
  /// Adds the stages that bring the gradient of the keys back through their norm.
  void addNormStages(Schedule& schedule, Index kvBatch);
  void weightGradientRows(Index kvBatch, Index firstRow, Index rows, Scratch& scratch);
  void contextGradientRows(Index kvBatch, Index firstKey, Index keys, Scratch& scratch);

  const Configuration& configuration_;
  Parameters<T>& parameters_;
  const PackedWeights<T>& weights_;
  const Activations<T>& activations_;
  KeyGradients<T>& keyGradients_;
  Tensor<T>& contextGradient_;
  /// Context, Wk and Wv as right operands.
  Buffer<T> contextPanels_, keyWeightPanels_, valueWeightPanels_;
  /// The transpose of the context as a right operand. Empty without a norm.
  Buffer<T> contextColumns_;
  NormGradients<T> normGradients_;
  /// True if an earlier stage of the schedule packs the weights, which are the same for all key/value
  /// batches.
  bool weightsArePacked_ = false;
};

}  // namespace cross_attention::layer
