#pragma once

#include <string>
#include <utility>
#include <vector>

#include "layer/configuration.hpp"
#include "layer/statistics.hpp"

namespace cross_attention::layer {

/// What a layer is and holds, whatever its type.
struct Facts {
  const char* dtype;
  Index tileRows;
  Index tileColumns;
  Index parameters;
  bool training;
  std::size_t parameterBytes;  ///< values and gradients
  std::size_t packedWeightBytes;
  std::size_t contextBytes;     ///< keys and values of a context that is remembered
  std::size_t activationBytes;  ///< what a training forward keeps beside its input and context
};

/// Names and values, for people, in an order to be read in. The names are stable; what a pass that has not happened would
/// tell is left out.
using Diagnostics = std::vector<std::pair<std::string, std::string>>;

Diagnostics diagnose(const Configuration& configuration, const Facts& facts,
                     const Statistics& statistics);

}  // namespace cross_attention::layer
