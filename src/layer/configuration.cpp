#include "layer/configuration.hpp"

#include <cmath>
#include <string>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::layer {

namespace {

/// Dimensions beyond it could not be multiplied with each other in 32 bits, nor their weights be held.
constexpr Index kMaxDimension = 32768;

void requireRange(const char* name, Index value, Index least, Index most) {
  if (value >= least && value <= most) return;
  failArgument({name, " is ", value, "; it takes an integer from ", least, " to ", most});
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
  if (configuration.queryDim % configuration.numHeads != 0) {
    failArgument({"numHeads is ", configuration.numHeads,
                  "; it takes a divisor of queryDim, which is ", configuration.queryDim});
  }
  if (configuration.scale && !std::isfinite(*configuration.scale)) {
    failArgument({"scale is not finite; it takes a finite number"});
  }
}

}  // namespace cross_attention::layer
