#include "layer/configuration.hpp"

#include <cmath>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::layer {

namespace {

/// The product of two dimensions must fit into 32 bits, and their weights into memory.
constexpr Index kMaxDimension = 32768;

void requireRange(const char* name, Index value, Index min, Index max) {
  if (value >= min && value <= max) return;
  failArgument({name, " is ", value, "; expected an integer from ", min, " to ", max});
}

}  // namespace

double Configuration::softmaxScale() const {
  return scale.value_or(1.0 / std::sqrt(static_cast<double>(headDim())));
}

void validate(const Configuration& configuration) {
  requireRange("queryDim", configuration.queryDim, 1, kMaxDimension);
  requireRange("contextDim", configuration.contextDim, 1, kMaxDimension);
  requireRange("numHeads", configuration.numHeads, 1, kMaxDimension);
  requireRange("spatialSize", configuration.spatialSize, 1, kMaxDimension);
  requireRange("blockSizeQ", configuration.tokenBlock, 0, kMaxDimension);
  requireRange("blockSizeKV", configuration.keyBlock, 0, kMaxDimension);
  requireRange("outputDim", configuration.outputChannels, 0, kMaxDimension);
  if (configuration.headChannels != 0) {
    if (configuration.headChannels < 0 || configuration.innerDim() > kMaxDimension) {
      failArgument({"headDim is ", configuration.headChannels, "; expected an integer from 1 to ",
                    kMaxDimension / configuration.numHeads, " (", kMaxDimension, " / numHeads)"});
    }
  } else if (configuration.queryDim % configuration.numHeads != 0) {
    failArgument({"numHeads is ", configuration.numHeads, "; expected a divisor of queryDim (",
                  configuration.queryDim, ")"});
  }
  if (configuration.scale && !std::isfinite(*configuration.scale)) {
    failArgument({"scale is not finite; expected a finite number"});
  }
  if (!std::isfinite(configuration.normEpsilon) || configuration.normEpsilon < 0) {
    failArgument({"normEpsilon is ", configuration.normEpsilon, "; expected a finite number of at least 0"});
  }
}

}  // namespace cross_attention::layer
