#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/index.hpp"

namespace cross_attention::layer {

/// The normalization of each head's queries and keys, after their projections.
enum class QueryKeyNorm : std::uint8_t { kNone, kLayerNorm, kRmsNorm };

/// The configuration of a layer; validate checks it.
struct Configuration {
  /// Channels of the input.
  Index queryDim = 0;
  /// Channels of the context.
  Index contextDim = 0;
  /// Divides queryDim unless headChannels is given.
  Index numHeads = 8;
  /// The usual height and width of the image. Shown in diagnostics only; inputs may have any size.
  Index spatialSize = 64;
  /// The seed of the initial weights.
  std::uint64_t seed = 0;
  /// The factor of the scores before the softmax; by default 1/√headDim.
  std::optional<double> scale;
  /// Tokens per task (blockSizeQ in the API); 0: the planner chooses.
  Index tokenBlock = 0;
  /// Keys per attention tile (blockSizeKV in the API); 0: the planner chooses.
  Index keyBlock = 0;

  /// Channels of a head (headDim in the API); 0: queryDim / numHeads.
  Index headChannels = 0;
  /// Channels of the output (outputDim in the API); 0: queryDim.
  Index outputChannels = 0;
  /// True if queries, keys and values have a bias.
  bool bias = false;
  /// True if the output has a bias.
  bool outputBias = true;
  QueryKeyNorm queryKeyNorm = QueryKeyNorm::kNone;
  /// Added to the variance, or to the mean of the squares, by queryKeyNorm.
  double normEpsilon = 1e-5;

  Index headDim() const { return headChannels > 0 ? headChannels : queryDim / numHeads; }
  /// Returns the channels of queries, keys and values.
  Index innerDim() const { return numHeads * headDim(); }
  Index outputDim() const { return outputChannels > 0 ? outputChannels : queryDim; }
  /// Returns the maximum of the channels of input, queries and output.
  Index maxChannels() const { return std::max({queryDim, innerDim(), outputDim()}); }
  bool hasNorm() const { return queryKeyNorm != QueryKeyNorm::kNone; }
  double softmaxScale() const;
};

/// Throws kArgument, naming the argument, if a value of the configuration is not allowed.
void validate(const Configuration& configuration);

}  // namespace cross_attention::layer
