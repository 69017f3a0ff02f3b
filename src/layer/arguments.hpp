#pragma once

#include <array>

#include "attention/scores.hpp"
#include "layer/configuration.hpp"
#include "layer/context.hpp"
#include "layer/mask.hpp"
#include "layer/statistics.hpp"

namespace cross_attention::layer {

/// The checked arguments of a call.
template <class T>
struct Arguments {
  Tensor<T> input;
  TokenLayout layout;
  TokenLayout outputLayout;
  Context<T> context;
  Mask<T> mask;

  /// `context` is null for self-attention. Throws kShape if checkCall does.
  static Arguments check(const Configuration& configuration, const Tensor<T>& input, const Tensor<T>* context,
                         const Mask<T>& mask);

  /// Returns the additive mask of one head of one batch row, and its causal keys.
  attention::HeadMask<T> headMask(Index batchRow, Index head) const;
  /// True if an additive mask hides a key of a key/value batch from all tokens and heads. `isShared`: all
  /// batch rows use this key/value batch.
  bool hidesKey(Index kvBatch, bool isShared, Index key) const;
  /// Elements of the additive mask from one head to the next; 0 if all heads share it.
  Index maskHeadStride() const;
  /// True if a pass folds the context into the weights: see foldsContext in layer/cost.
  bool foldsContext(const Configuration& configuration) const;
  /// Returns the names and shapes of input, context and mask for diagnostics.
  std::array<NamedShape, 3> shapes() const;
};

}  // namespace cross_attention::layer
