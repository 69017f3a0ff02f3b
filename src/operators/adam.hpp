#pragma once

#include <vector>

#include "operators/parameter.hpp"

namespace cross_attention::operators {

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.99;
  double epsilon = 1e-8;
  /// The gradient of all parameters together is scaled down to this length; 0: never.
  double mostGradientNorm = 1;
  /// Of the running average of the parameters at most; early on it is (1 + step) / (10 + step).
  double averageDecay = 0.999;
};

/// Adam (Kingma and Ba, 2015, algorithm 1), with a running average of the parameters (Polyak and Juditsky, 1992), which is
/// what one samples with. Only those parameters are changed that were trainable when it was made.
template <class T>
class Adam {
 public:
  /// The moments and the average of one parameter; empty where it is not trained.
  struct State {
    Buffer<T> mean, square, average;
  };

  /// The average begins with the present values. Takes its memory here.
  Adam(ParameterSet<T>& parameters, const AdamOptions& options);

  /// p ← p - learningRate·m̂/(√v̂ + ε); then the gradients are cleared. Returns the length of the gradient. Throws
  /// kArgument, having changed nothing, where a parameter has grown or become trainable since this was made.
  double update(double learningRate);
  /// Exchanges the parameters and their averages: before and after sampling or saving. Throws as update.
  void swapAverages();

  Index step() const { return step_; }
  void setStep(Index step) { step_ = step; }
  /// One a parameter, in their order: for checkpoints.
  std::vector<State>& states() { return states_; }

 private:
  void requireSameSizes() const;

  ParameterSet<T>& parameters_;
  AdamOptions options_;
  std::vector<State> states_;
  Index step_ = 0;
};

}  // namespace cross_attention::operators
