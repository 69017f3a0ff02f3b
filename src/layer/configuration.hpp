#pragma once

#include <cstdint>
#include <optional>

#include "core/index.hpp"

namespace cross_attention::layer {

/// The configuration of a layer; validate checks it.
struct Configuration {
  /// Channels of the input and of the output.
  Index queryDim = 0;
  /// Channels of the context.
  Index contextDim = 0;
  /// Divides queryDim.
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

  Index headDim() const { return queryDim / numHeads; }
  double softmaxScale() const;
};

/// Throws kArgument, naming the argument, if a value of the configuration is not allowed.
void validate(const Configuration& configuration);

}  // namespace cross_attention::layer
