#pragma once

#include "support/reference_head.hpp"

namespace cross_attention::test {

/// A call of the layer in float64: q = x·Wqᵀ, k = c·Wkᵀ, v = c·Wvᵀ, out = softmax(scale·q·kᵀ + mask)·v per head,
/// joined, ·Woᵀ + bo. Tokens are rows here, whatever the layout of the layer's tensors.
struct ReferenceLayer {
  Index batch = 0;
  Index tokens = 0;
  Index queryDim = 0;
  Index contextBatch = 0;  ///< 1 or batch
  Index length = 0;
  Index contextDim = 0;
  Index numHeads = 1;
  double scale = 1;
  bool isSelfAttention = false;  ///< the context is the input
  std::vector<double> input;     ///< [batch, tokens, queryDim]
  std::vector<double> context;   ///< [contextBatch, length, contextDim]
  std::vector<double> queryWeight, keyWeight, valueWeight, outputWeight, outputBias;
  /// What is added to a score: -infinity ignores the key. Empty: nothing.
  std::function<double(Index batchRow, Index head, Index token, Index key)> mask;

  /// [batch, chosen.size(), queryDim]: the output of these tokens only.
  std::vector<double> output(const std::vector<Index>& chosen) const;
  /// [batch, tokens, queryDim]
  std::vector<double> output() const;
  /// [batch, heads, length, tokens]
  std::vector<double> probabilities() const;

  struct Gradients {
    std::vector<double> input;    ///< the context's part included for self-attention
    std::vector<double> context;  ///< [contextBatch, length, contextDim]
    std::vector<double> queryWeight, keyWeight, valueWeight, outputWeight, outputBias;
    /// The five parameters' as one, in the layer's order.
    std::vector<double> parameters() const;
  };
  /// Of Σ outputGradient ∘ output; outputGradient is [batch, tokens, queryDim].
  Gradients gradients(const std::vector<double>& outputGradient) const;

  /// How large a rounding error of the output may be in a format of precision `epsilon`. Each of the sums (over
  /// queryDim, contextDim, headDim and keys) has a random walk's error of √terms · epsilon (Higham and Mary, 2019); an
  /// error of a score changes a probability by as much relatively, so the largest score enters as a factor; values and
  /// output weights set the magnitude. 8 covers the largest of some thousand elements.
  double tolerance(double epsilon) const;
  /// No score can be larger, mask aside.
  double largestScore() const;
  /// No output can be larger: attended values are a convex combination of the values.
  double outputBound() const;

 private:
  Index headDim() const { return queryDim / numHeads; }
  ReferenceHead head(Index batchRow, Index headNumber, const std::vector<Index>& chosen,
                     const std::vector<double>& keys, const std::vector<double>& allValues) const;
  /// All of k = c·Wkᵀ and v = c·Wvᵀ: [contextBatch · length, queryDim].
  std::vector<double> projectedKeys() const;
  std::vector<double> projectedValues() const;
};

/// 0 … count - 1.
std::vector<Index> allTokens(Index count);

}  // namespace cross_attention::test
