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

double ReferenceHead::score(Index token, Index keyNumber) const {
  double product = 0;
  for (Index column = 0; column < headDim; ++column) {
    product += at(query, headDim, token, column) * at(key, headDim, keyNumber, column);
  }
  return scale * product + (mask ? mask(token, keyNumber) : 0.0);
}

double ReferenceHead::logSumExp(Index token) const {
  double highest = -std::numeric_limits<double>::infinity();
  for (Index number = 0; number < keys; ++number) {
    highest = std::max(highest, score(token, number));
  }
  if (std::isinf(highest)) return highest;
  double sum = 0;
  for (Index number = 0; number < keys; ++number) sum += std::exp(score(token, number) - highest);
  return highest + std::log(sum);
}

std::vector<double> ReferenceHead::probabilities() const {
  std::vector<double> result = zeros(tokens, keys);
  for (Index token = 0; token < tokens; ++token) {
    double highest = -std::numeric_limits<double>::infinity();
    for (Index number = 0; number < keys; ++number) {
      at(result, keys, token, number) = score(token, number);
      highest = std::max(highest, at(result, keys, token, number));
    }
    double sum = 0;
    for (Index number = 0; number < keys; ++number) {
      double& weight = at(result, keys, token, number);
      weight = std::isinf(highest) ? 0.0 : std::exp(weight - highest);
      sum += weight;
    }
    for (Index number = 0; number < keys; ++number) {
      if (sum > 0) at(result, keys, token, number) /= sum;
    }
  }
  return result;
}

std::vector<double> ReferenceHead::output() const {
  const std::vector<double> weights = probabilities();
  std::vector<double> result = zeros(tokens, headDim);
  for (Index token = 0; token < tokens; ++token) {
    for (Index number = 0; number < keys; ++number) {
      for (Index column = 0; column < headDim; ++column) {
        at(result, headDim, token, column) +=
            at(weights, keys, token, number) * at(value, headDim, number, column);
      }
    }
  }
  return result;
}

ReferenceHead::Gradients ReferenceHead::gradients(const std::vector<double>& outputGradient) const {
  const std::vector<double> weights = probabilities();
  Gradients result{zeros(tokens, headDim), zeros(keys, headDim), zeros(keys, headDim)};
  for (Index token = 0; token < tokens; ++token) {
    // dL/d(probability) of each key, and their mean under the probabilities: the softmax's Jacobian.
    std::vector<double> weightGradient = zeros(1, keys);
    double mean = 0;
    for (Index number = 0; number < keys; ++number) {
      double& gradient = at(weightGradient, keys, 0, number);
      for (Index column = 0; column < headDim; ++column) {
        const double upper = at(outputGradient, headDim, token, column);
        gradient += upper * at(value, headDim, number, column);
        at(result.value, headDim, number, column) += at(weights, keys, token, number) * upper;
      }
      mean += at(weights, keys, token, number) * gradient;
    }
    for (Index number = 0; number < keys; ++number) {
      const double scoreGradient =
          at(weights, keys, token, number) * (at(weightGradient, keys, 0, number) - mean);
      for (Index column = 0; column < headDim; ++column) {
        at(result.query, headDim, token, column) +=
            scale * scoreGradient * at(key, headDim, number, column);
        at(result.key, headDim, number, column) +=
            scale * scoreGradient * at(query, headDim, token, column);
      }
    }
  }
  return result;
}

}  // namespace cross_attention::test
