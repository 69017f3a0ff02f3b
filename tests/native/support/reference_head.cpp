#include "support/reference_head.hpp"

#include <cmath>
#include <limits>

namespace cross_attention::test {

namespace {

double& at(std::vector<double>& matrix, Index columns, Index row, Index column) {
  return matrix[static_cast<std::size_t>(row * columns + column)];
}
double at(const std::vector<double>& matrix, Index columns, Index row, Index column) {
  return matrix[static_cast<std::size_t>(row * columns + column)];
}
std::vector<double> zeros(Index rows, Index columns) {
  return std::vector<double>(static_cast<std::size_t>(rows * columns), 0.0);
}

}  // namespace

double ReferenceHead::score(Index token, Index keyIndex) const {
  double product = 0;
  for (Index column = 0; column < headDim; ++column) {
    product += at(query, headDim, token, column) * at(key, headDim, keyIndex, column);
  }
  return scale * product + (mask ? mask(token, keyIndex) : 0.0);
}

double ReferenceHead::logSumExp(Index token) const {
  double highest = -std::numeric_limits<double>::infinity();
  for (Index keyIndex = 0; keyIndex < keys; ++keyIndex) {
    highest = std::max(highest, score(token, keyIndex));
  }
  if (std::isinf(highest)) return highest;
  double sum = 0;
  for (Index keyIndex = 0; keyIndex < keys; ++keyIndex) sum += std::exp(score(token, keyIndex) - highest);
  return highest + std::log(sum);
}

std::vector<double> ReferenceHead::probabilities() const {
  std::vector<double> result = zeros(tokens, keys);
  for (Index token = 0; token < tokens; ++token) {
    double highest = -std::numeric_limits<double>::infinity();
    for (Index keyIndex = 0; keyIndex < keys; ++keyIndex) {
      at(result, keys, token, keyIndex) = score(token, keyIndex);
      highest = std::max(highest, at(result, keys, token, keyIndex));
    }
    double sum = 0;
    for (Index keyIndex = 0; keyIndex < keys; ++keyIndex) {
      double& weight = at(result, keys, token, keyIndex);
      weight = std::isinf(highest) ? 0.0 : std::exp(weight - highest);
      sum += weight;
    }
    for (Index keyIndex = 0; keyIndex < keys; ++keyIndex) {
      if (sum > 0) at(result, keys, token, keyIndex) /= sum;
    }
  }
  return result;
}

std::vector<double> ReferenceHead::output() const {
  const std::vector<double> weights = probabilities();
  std::vector<double> result = zeros(tokens, headDim);
  for (Index token = 0; token < tokens; ++token) {
    for (Index keyIndex = 0; keyIndex < keys; ++keyIndex) {
      for (Index column = 0; column < headDim; ++column) {
        at(result, headDim, token, column) +=
            at(weights, keys, token, keyIndex) * at(value, headDim, keyIndex, column);
      }
    }
  }
  return result;
}

ReferenceHead::Gradients ReferenceHead::gradients(const std::vector<double>& outputGradient) const {
  const std::vector<double> weights = probabilities();
  Gradients result{zeros(tokens, headDim), zeros(keys, headDim), zeros(keys, headDim)};
  for (Index token = 0; token < tokens; ++token) {
    // dL/d(probability) of each key and their mean weighted by the probabilities: the Jacobian of softmax.
    std::vector<double> weightGradient = zeros(1, keys);
    double mean = 0;
    for (Index keyIndex = 0; keyIndex < keys; ++keyIndex) {
      double& gradient = at(weightGradient, keys, 0, keyIndex);
      for (Index column = 0; column < headDim; ++column) {
        const double upper = at(outputGradient, headDim, token, column);
        gradient += upper * at(value, headDim, keyIndex, column);
        at(result.value, headDim, keyIndex, column) += at(weights, keys, token, keyIndex) * upper;
      }
      mean += at(weights, keys, token, keyIndex) * gradient;
    }
    for (Index keyIndex = 0; keyIndex < keys; ++keyIndex) {
      const double scoreGradient =
          at(weights, keys, token, keyIndex) * (at(weightGradient, keys, 0, keyIndex) - mean);
      for (Index column = 0; column < headDim; ++column) {
        at(result.query, headDim, token, column) +=
            scale * scoreGradient * at(key, headDim, keyIndex, column);
        at(result.key, headDim, keyIndex, column) +=
            scale * scoreGradient * at(query, headDim, token, column);
      }
    }
  }
  return result;
}

}  // namespace cross_attention::test
