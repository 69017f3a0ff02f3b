#pragma once

#include "core/random.hpp"

namespace cross_attention::scenes {

/// One of 0, 1, …, count − 1.
inline int choose(Random& random, int count) { return static_cast<int>(random.uniform() * count); }

inline bool happens(Random& random, double probability) { return random.uniform() < probability; }

/// Numbers from low to high; empty where low is the larger one.
struct Range {
  float low, high;
};

/// Uniform in a range that is not empty.
inline float uniformIn(Random& random, Range range) {
  const double width = static_cast<double>(range.high) - static_cast<double>(range.low);
  return static_cast<float>(static_cast<double>(range.low) + random.uniform() * width);
}

}  // namespace cross_attention::scenes
