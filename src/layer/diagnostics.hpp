#pragma once

#include <string>
#include <utility>
#include <vector>

#include "layer/configuration.hpp"
#include "layer/statistics.hpp"

namespace cross_attention::layer {

/// The sizes and state of a layer of either dtype.
struct LayerInfo {
  const char* dtype;
  Index tileRows;
  Index tileColumns;
  Index parameters;
  bool training;
  /// Values and gradients.
  std::size_t parameterBytes;
  /// Zero before the first backward pass.
  std::size_t gradientBytes;
  /// The updates of LoRAs, and the effective parameters.
  std::size_t loraBytes;
  std::size_t packedWeightBytes;
  /// Keys and values of the cached context.
  std::size_t contextBytes;
  /// What a training forward pass saves, except its input and context.
  std::size_t activationBytes;
};

/// Names and values for people, in reading order. The names are stable. Entries about a pass that has not
/// happened yet are left out.
using Diagnostics = std::vector<std::pair<std::string, std::string>>;

Diagnostics diagnose(const Configuration& configuration, const LayerInfo& info, const Statistics& statistics);

}  // namespace cross_attention::layer
