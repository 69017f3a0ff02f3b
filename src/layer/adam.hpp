#pragma once

#include <cmath>

namespace cross_attention::layer {

/// The factors of Adam's update rule at one step, in the type of the parameters or as vectors of it.
/// Based on: Kingma and Ba, "Adam: A method for stochastic optimization" (2015), algorithm 1.
template <class V>
struct AdamRule {
  /// The learning rate, divided by 1 - β₁ᵗ.
  V rate;
  /// 1 / (1 - β₂ᵗ).
  V squareFactor;
  V epsilon;

  /// Returns learningRate·m̂/(√v̂ + ε), to be subtracted from the parameter.
  V step(V mean, V square) const {
    using std::sqrt;  // That of vectors is found by their namespace.
    return rate * mean / (sqrt(square * squareFactor) + epsilon);
  }
};

/// Returns the factors of step t = `step`, which counts from 1. The bias corrections are computed in float64.
template <class T>
AdamRule<T> adamRule(double learningRate, double beta1, double beta2, double epsilon, double step) {
  return {static_cast<T>(learningRate / (1 - std::pow(beta1, step))),
          static_cast<T>(1 / (1 - std::pow(beta2, step))), static_cast<T>(epsilon)};
}

}  // namespace cross_attention::layer
