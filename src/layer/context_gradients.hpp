#pragma once

#include "layer/activations.hpp"
#include "layer/key_gradients.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

/// The last part of a backward pass: from the gradients of a key/value batch's keys and values to
///   dWk += dkᵀ·c;  dWv += dvᵀ·c;  dc = dk·Wk + dv·Wv
template <class T>
class ContextGradients {
 public:
  /// Allocates all memory. `contextGradient`, of the context's shape, is added to; for self-attention it is
  /// the gradient of the input. All arguments outlive this object.
  ContextGradients(const Configuration& configuration, Parameters<T>& parameters,
                   const Activations<T>& activations, KeyGradients<T>& keyGradients,
                   Tensor<T>& contextGradient);

  /// Adds the stages of a key/value batch, after those that complete its key gradients.
  void addStages(Schedule& schedule, Index kvBatch);

 private:
  const ProjectedContext<T>& projected() const { return *activations_.projected; }
  void weightGradientRows(Index kvBatch, Index firstRow, Index rows, Scratch& scratch);
  void contextGradientRows(Index kvBatch, Index firstKey, Index keys, Scratch& scratch);

  const Configuration& configuration_;
  Parameters<T>& parameters_;
  const Activations<T>& activations_;
  KeyGradients<T>& keyGradients_;
  Tensor<T>& contextGradient_;
  /// Context, Wk and Wv as right operands.
  Buffer<T> contextPanels_, keyWeightPanels_, valueWeightPanels_;
  /// True if an earlier stage of the schedule packs the weights, which are the same for all key/value
  /// batches.
  bool weightsArePacked_ = false;
};

}  // namespace cross_attention::layer
