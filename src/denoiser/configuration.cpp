#include "denoiser/configuration.hpp"

#include <bit>

#include "core/error.hpp"

namespace cross_attention::denoiser {

namespace {

/// Far beyond what such a model is meant for, and no product of two overflows.
constexpr Index kMost = 16384;

void requirePositive(const char* name, Index value) {
  if (value < 1 || value > kMost) {
    failArgument({name, " is ", value, "; it takes 1 to ", kMost});
  }
}

void requireMultiple(const char* name, Index value, const char* divisorName, Index divisor) {
  if (value % divisor != 0) {
    failArgument({name, " is ", value, "; it takes a multiple of ", divisorName, ", ", divisor});
  }
}

}  // namespace

void validate(const Configuration& configuration) {
  requirePositive("imageSize", configuration.imageSize);
  requirePositive("pixelFeatures", configuration.pixelFeatures);
  if (configuration.pixelBlocks != 0) requirePositive("pixelBlocks", configuration.pixelBlocks);
  requirePositive("patch", configuration.patch);
  requirePositive("features", configuration.features);
  requirePositive("blocks", configuration.blocks);
  requirePositive("numHeads", configuration.numHeads);
  requirePositive("textFeatures", configuration.textFeatures);
  if (configuration.textBlocks != 0) requirePositive("textBlocks", configuration.textBlocks);
  requirePositive("textHeads", configuration.textHeads);
  requirePositive("mostWords", configuration.maxWords);
  requirePositive("expansion", configuration.expansion);
  if (!std::has_single_bit(static_cast<std::uint64_t>(configuration.patch))) {
    failArgument({"patch is ", configuration.patch, "; it takes a power of two"});
  }
  requireMultiple("imageSize", configuration.imageSize, "patch", configuration.patch);
  requireMultiple("features", configuration.features, "numHeads", configuration.numHeads);
  // Sines and cosines in two directions.
  requireMultiple("features", configuration.features, "the waves of a place", 4);
  requireMultiple("textFeatures", configuration.textFeatures, "textHeads", configuration.textHeads);
}

}  // namespace cross_attention::denoiser
