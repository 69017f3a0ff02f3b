#pragma once

#include "support/reference_head.hpp"

namespace cross_attention::test {

/// A call of the layer in float64: q = x·Wqᵀ, k = c·Wkᵀ, v = c·Wvᵀ, out = concat(softmax(scale·q·kᵀ + mask)·v
/// over heads)·Woᵀ + bo. Tokens are rows here, whatever the layout of the layer's tensors.
struct ReferenceLayer {
  Index batch = 0;
  Index tokens = 0;
  Index queryDim = 0;
  /// 1 or batch.
  Index contextBatch = 0;
  Index length = 0;
  Index contextDim = 0;
  Index numHeads = 1;
  double scale = 1;
  /// True if the context is the input.
  bool isSelfAttention = false;
  /// [batch, tokens, queryDim]
  std::vector<double> input;
  /// [contextBatch, length, contextDim]
  std::vector<double> context;
  std::vector<double> queryWeight, keyWeight, valueWeight, outputWeight, outputBias;
  /// Returns the value added to a score; -infinity excludes the key. If empty, nothing is added.
  std::function<double(Index batchRow, Index head, Index token, Index key)> mask;

  /// Returns [batch, chosen.size(), queryDim]: the output of the chosen tokens.
  std::vector<double> output(const std::vector<Index>& chosen) const;
  /// Returns [batch, tokens, queryDim].
  std::vector<double> output() const;
  /// Returns [batch, heads, length, tokens].
  std::vector<double> probabilities() const;

  struct Gradients {
    /// For self-attention this includes the gradient of the context.
    std::vector<double> input;
    /// [contextBatch, length, contextDim]
    std::vector<double> context;
    std::vector<double> queryWeight, keyWeight, valueWeight, outputWeight, outputBias;
    /// Returns the gradients of the five parameters, concatenated in the layer's order.
    std::vector<double> parameters() const;
  };
  /// Returns the gradients of Σ outputGradient ∘ output. outputGradient is [batch, tokens, queryDim].
  Gradients gradients(const std::vector<double>& outputGradient) const;

  /// Returns the allowed rounding error of the output in a format of precision `epsilon`. The error of each
  /// sum (over queryDim, contextDim, headDim and keys) is a random walk, √terms · epsilon (Higham and Mary,
  /// 2019). An error of a score changes a probability by the same relative amount, so the largest score is a
  /// factor. Values and output weights determine the magnitude. The factor 8 covers the largest of some
  /// thousand elements.
  double tolerance(double epsilon) const;
  /// Returns an upper bound of the scores without the mask.
  double largestScore() const;
  /// Returns an upper bound of the output: attended values are a convex combination of the values.
  double outputBound() const;

 private:
  Index headDim() const { return queryDim / numHeads; }
  ReferenceHead head(Index batchRow, Index headIndex, const std::vector<Index>& chosen,
                     const std::vector<double>& keys, const std::vector<double>& allValues) const;
  /// Return k = c·Wkᵀ and v = c·Wvᵀ for all heads: [contextBatch · length, queryDim].
  std::vector<double> projectedKeys() const;
  std::vector<double> projectedValues() const;
};

/// Returns 0 … count - 1.
std::vector<Index> allTokens(Index count);

}  // namespace cross_attention::test
