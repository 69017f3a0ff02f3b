#pragma once

#include "support/reference_head.hpp"

namespace cross_attention::test {

/// The norm of each head's queries or keys. Without a weight there is none.
struct ReferenceNorm {
  bool isCentered = false;
  double epsilon = 0;
  /// headDim values. The bias may be empty.
  std::vector<double> weight, bias;

  /// Normalizes each row of weight.size() elements.
  std::vector<double> apply(std::vector<double> rows) const;
  struct Gradients {
    std::vector<double> rows, weight, bias;
  };
  /// `rows`: before the norm. `upper`: the gradient of its result.
  Gradients gradients(const std::vector<double>& rows, const std::vector<double>& upper) const;
};

/// A call of the layer in float64: q = norm(x·Wqᵀ + bq), k = norm(c·Wkᵀ + bk), v = c·Wvᵀ + bv, out =
/// concat(softmax(scale·q·kᵀ + mask)·v over heads)·Woᵀ + bo. Tokens are rows here, whatever the layout of the
/// layer's tensors.
struct ReferenceLayer {
  Index batch = 0;
  Index tokens = 0;
  Index queryDim = 0;
  /// 1 or batch.
  Index contextBatch = 0;
  Index length = 0;
  Index contextDim = 0;
  Index numHeads = 1;
  Index headDim = 1;
  Index outputDim = 0;
  double scale = 1;
  /// True if the context is the input.
  bool isSelfAttention = false;
  /// [batch, tokens, queryDim]
  std::vector<double> input;
  /// [contextBatch, length, contextDim]
  std::vector<double> context;
  std::vector<double> queryWeight, keyWeight, valueWeight, outputWeight;
  /// Empty if the layer does not have them.
  std::vector<double> queryBias, keyBias, valueBias, outputBias;
  ReferenceNorm queryNorm, keyNorm;
  /// Returns the value added to a score; -infinity excludes the key. If empty, nothing is added.
  std::function<double(Index batchRow, Index head, Index token, Index key)> mask;

  /// Returns [batch, chosen.size(), outputDim]: the output of the chosen tokens.
  std::vector<double> output(const std::vector<Index>& chosen) const;
  /// Returns [batch, tokens, outputDim].
  std::vector<double> output() const;
  /// Returns [batch, heads, length, tokens].
  std::vector<double> probabilities() const;

  struct Gradients {
    /// For self-attention this includes the gradient of the context.
    std::vector<double> input;
    /// [contextBatch, length, contextDim]
    std::vector<double> context;
    /// Those of all parameters in the layer's order; empty for those that the layer does not have.
    std::vector<std::vector<double>> parameters;
  };
  /// Returns the gradients of Σ outputGradient ∘ output. outputGradient is [batch, tokens, outputDim].
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
  Index innerDim() const { return numHeads * headDim; }
  ReferenceHead head(Index batchRow, Index headIndex, const std::vector<Index>& chosen,
                     const std::vector<double>& keys, const std::vector<double>& allValues) const;
  /// Return q, k and v for all heads: [batch · tokens, innerDim] and [contextBatch · length, innerDim].
  std::vector<double> projectedQueries() const;
  std::vector<double> projectedKeys() const;
  std::vector<double> projectedValues() const;
};

/// Returns 0 … count - 1.
std::vector<Index> allTokens(Index count);

}  // namespace cross_attention::test
