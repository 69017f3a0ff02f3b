#pragma once

#include <cstddef>
#include <string>

#include "core/index.hpp"

namespace cross_attention::layer {

/// One pass: what it is to do, known before it begins, and how it went.
struct PassStatistics {
  bool happened = false;
  std::string shapes;
  Index tokenBlock = 0;
  Index keyBlock = 0;
  double flops = 0;
  double milliseconds = 0;
  std::size_t peakBytes =
      0;  ///< most bytes held during the pass beyond those before it, its result included
};

struct Statistics {
  PassStatistics forward;
  PassStatistics backward;
  std::size_t contextHits = 0;  ///< forwards that found the context's keys and values ready
};

}  // namespace cross_attention::layer
