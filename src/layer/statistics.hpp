#pragma once

#include <array>
#include <cstddef>

#include "core/shape.hpp"

namespace cross_attention::layer {

/// A shape in diagnostics. A shape without dimensions is shown by its name alone.
struct NamedShape {
  /// Null if there is nothing to show.
  const char* name = nullptr;
  Shape shape;
};

/// One pass: its sizes, known before it starts, and its time and memory, known when it has finished.
struct PassStatistics {
  /// False until a pass has finished.
  bool happened = false;
  std::array<NamedShape, 3> shapes;
  Index tokenBlock = 0;
  Index keyBlock = 0;
  double flops = 0;
  double milliseconds = 0;
  /// The peak of the bytes in use during the pass, minus the bytes in use before it. Includes the result.
  std::size_t peakBytes = 0;
};

struct Statistics {
  PassStatistics forward;
  PassStatistics backward;
  /// Forward passes that found the keys and values of their context in the cache.
  std::size_t contextHits = 0;
};

}  // namespace cross_attention::layer
