#pragma once

#include "support/layer_case.hpp"

namespace cross_attention::test {

/// Returns the allowed absolute error: `relative` times the largest element, but at least the rounding error
/// of a sum of unit-normal numbers. If a gradient is 0 in theory (one key: the softmax is constant), it
/// consists of rounding errors only.
double allowedGradientError(double relative, const std::vector<double>& expected);

/// Returns the allowed error of a gradient relative to its largest element, in a format of precision
/// `epsilon`. As for the output (ReferenceLayer::tolerance), the rounding error of each sum is a random walk,
/// √terms · epsilon; here the tokens of a batch are summed as well. An error of a score changes a probability
/// by the same relative amount. The factor is 16 because probabilities enter the gradient of a score twice.
double gradientTolerance(const ReferenceLayer& reference, double epsilon);

/// Runs a training forward and a backward pass. Expects the gradients of input, context and each parameter to
/// match the reference. `relative` is that of allowedGradientError. Returns the largest ratio of error to
/// allowed error.
template <class T>
double expectGradientsMatchReference(LayerCase<T>& layerCase, double relative);
template <class T>
double expectGradientsMatchReference(const CaseShape& shape, double relative) {
  LayerCase<T> layerCase(shape);
  return expectGradientsMatchReference(layerCase, relative);
}

}  // namespace cross_attention::test
