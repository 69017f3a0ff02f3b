#pragma once

#include <functional>
#include <vector>

#include "core/index.hpp"

/// Textbook attention in float64, whatever the element type of the layer: loops over tokens and keys, no
/// blocks, all probabilities in memory at once. The tests compare the core with it.
namespace cross_attention::test {

/// Queries, keys and values of one head, row-major.
struct ReferenceHead {
  Index tokens = 0;
  Index keys = 0;
  Index headDim = 0;
  /// [tokens, headDim]
  std::vector<double> query;
  /// [keys, headDim]
  std::vector<double> key;
  /// [keys, headDim]
  std::vector<double> value;
  double scale = 1;
  /// Returns the value added to the score of a token and a key. If empty, nothing is added.
  std::function<double(Index token, Index key)> mask;

  double score(Index token, Index keyIndex) const;
  /// Returns log Σ exp(score), or -infinity for a token whose keys are all masked.
  double logSumExp(Index token) const;
  /// Returns [tokens, keys]: softmax of the scores, zeros for a token whose keys are all masked.
  std::vector<double> probabilities() const;
  /// Returns [tokens, headDim]: probabilities · value.
  std::vector<double> output() const;

  struct Gradients {
    std::vector<double> query, key, value;
  };
  /// Returns the gradients of Σ outputGradient ∘ output.
  Gradients gradients(const std::vector<double>& outputGradient) const;
};

}  // namespace cross_attention::test
