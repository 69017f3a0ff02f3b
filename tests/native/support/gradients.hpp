#pragma once

#include "support/layer_case.hpp"

namespace cross_attention::test {

/// Relative to the largest element, but not below the rounding of a sum of unit-normal numbers: where a gradient is 0
/// in theory (one key: the softmax is constant), only that is left.
double allowedGradientError(double relative, const std::vector<double>& expected);

/// How far a gradient may be off, relative to its largest element, in a format of precision `epsilon`. As for the output
/// (ReferenceLayer::tolerance), each sum has a random walk's error of √terms · epsilon, here over the tokens of a batch,
/// too; an error of a score changes a probability by as much relatively. Probabilities enter a score's gradient twice: 16.
double gradientTolerance(const ReferenceLayer& reference, double epsilon);

/// A training forward and its backward: the gradients of input, context and each parameter like those of the reference.
/// `relative`: see allowedGradientError. Returns the largest error over what is allowed.
template <class T>
double expectGradientsMatchReference(LayerCase<T>& one, double relative);
template <class T>
double expectGradientsMatchReference(const CaseShape& shape, double relative) {
  LayerCase<T> one(shape);
  return expectGradientsMatchReference(one, relative);
}

}  // namespace cross_attention::test
