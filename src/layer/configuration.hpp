#pragma once

#include <cstdint>
#include <optional>

#include "core/index.hpp"

namespace cross_attention::layer {

/// What a layer is built from; checked by validate.
struct Configuration {
  Index queryDim = 0;      ///< channels of the input and of the output
  Index contextDim = 0;    ///< channels of the context
  Index numHeads = 8;      ///< divides queryDim
  Index spatialSize = 64;  ///< the usual height and width of the image; tells people, binds nobody
  std::uint64_t seed = 0;  ///< of the initial weights
  std::optional<double> scale;  ///< of the scores; default 1/√headDim
  Index tokenBlock = 0;  ///< tokens a task works on at a time (blockSizeQ); 0: the planner's choice
  Index keyBlock = 0;    ///< keys a tile holds (blockSizeKV); 0: the planner's choice

  Index headDim() const { return queryDim / numHeads; }
  double softmaxScale() const;
};

/// Throws kArgument, naming the argument, where such a layer cannot be.
void validate(const Configuration& configuration);

}  // namespace cross_attention::layer
