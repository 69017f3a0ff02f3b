#pragma once

#include <vector>

#include "operators/parameter.hpp"

namespace cross_attention::operators {

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.99;
  double epsilon = 1e-8;
  /// The gradient of all parameters together is scaled down to at most this norm; 0 disables clipping.
  double maxGradientNorm = 1;
  /// Maximum decay of the parameters' EMA. The decay of an early step is (1 + step) / (10 + step).
  double emaDecay = 0.999;
};

/// The Adam optimizer (layer/adam.hpp) with an exponential moving average (EMA) of the parameters, which is
/// used for sampling. Updates only parameters that were trainable at construction. Averaging: Polyak and
/// Juditsky (1992).
template <class T>
class Adam {
 public:
  /// The moments and the EMA of one parameter; empty if it is not trained.
  struct State {
    Buffer<T> mean, square, ema;
  };

  /// Allocates all memory. The EMA starts from the current values.
  Adam(ParameterSet<T>& parameters, const AdamOptions& options);

  /// Updates p ← p - learningRate·m̂/(√v̂ + ε), clears the gradients and returns the norm of the gradient.
  /// Throws kArgument, without any change, if a parameter has grown or become trainable since construction.
  double update(double learningRate);
  /// Swaps the parameters and their EMA: before and after sampling or saving. Throws like update.
  void swapEma();

  Index step() const { return step_; }
  void setStep(Index step) { step_ = step; }
  /// One per parameter, in the same order. Used by checkpoints.
  std::vector<State>& states() { return states_; }

 private:
  void requireSameSizes() const;

  ParameterSet<T>& parameters_;
  AdamOptions options_;
  std::vector<State> states_;
  Index step_ = 0;
};

}  // namespace cross_attention::operators
