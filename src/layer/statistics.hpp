#pragma once

#include <array>
#include <cstddef>

#include "core/shape.hpp"

namespace cross_attention::layer {

/// A shape as diagnostics tell it; a name alone where it has no dimensions.
struct NamedShape {
  const char* name = nullptr;  ///< null: nothing to tell
  Shape shape;
};

/// One pass: what it is to do, known before it begins, and how it went.
struct PassStatistics {
  bool happened = false;
  std::array<NamedShape, 3> shapes;
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
