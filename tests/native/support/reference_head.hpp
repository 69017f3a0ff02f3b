#pragma once

#include <functional>
#include <vector>

#include "core/index.hpp"

/// Attention as a textbook has it, in float64 whatever the layer computes in: loops over tokens and keys, no blocks,
/// all probabilities held at once. What the tests measure the core against.
namespace cross_attention::test {

/// Queries, keys and values of one head, row by row.
struct ReferenceHead {
  Index tokens = 0;
  Index keys = 0;
  Index headDim = 0;
  std::vector<double> query;  ///< [tokens, headDim]
  std::vector<double> key;    ///< [keys, headDim]
  std::vector<double> value;  ///< [keys, headDim]
  double scale = 1;
  /// What is added to the score of a token and a key; empty: nothing.
  std::function<double(Index token, Index key)> mask;

  double score(Index token, Index keyNumber) const;
  /// log Σ exp(score), -infinity for a token that may attend to nothing.
  double logSumExp(Index token) const;
  /// [tokens, keys]: softmax of the scores, zeros for a token that may attend to nothing.
  std::vector<double> probabilities() const;
  /// [tokens, headDim]: probabilities · value.
  std::vector<double> output() const;

  struct Gradients {
    std::vector<double> query, key, value;
  };
  /// Of Σ outputGradient ∘ output.
  Gradients gradients(const std::vector<double>& outputGradient) const;
};

}  // namespace cross_attention::test
