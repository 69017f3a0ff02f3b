#pragma once

#include <cmath>
#include <cstdint>

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

/// Returns xⁿ by repeated squaring, with a relative error of n roundings: here xⁿ is subtracted from 1 or
/// vanishes. std::pow would add 1 KB to the download.
inline double power(double x, std::uint64_t n) {
  double result = 1;
  for (; n > 0; n >>= 1) {
    if (n % 2 == 1) result *= x;
    x *= x;
  }
  return result;
}

/// Returns the factors of step t = `step`, which counts from 1. The bias corrections are computed in float64.
template <class T>
AdamRule<T> adamRule(double learningRate, double beta1, double beta2, double epsilon, double step) {
  const auto steps = static_cast<std::uint64_t>(step);
  return {static_cast<T>(learningRate / (1 - power(beta1, steps))),
          static_cast<T>(1 / (1 - power(beta2, steps))), static_cast<T>(epsilon)};
}

}  // namespace cross_attention::layer
