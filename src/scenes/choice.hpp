#pragma once

#include "core/random.hpp"

namespace cross_attention::scenes {

/// Returns one of 0, 1, …, count − 1 with equal probability.
inline int uniformInt(Random& random, int count) { return static_cast<int>(random.uniform() * count); }

/// Returns true with this probability.
inline bool bernoulli(Random& random, double probability) { return random.uniform() < probability; }

/// An interval from low to high; empty if low > high.
struct Range {
  float low, high;
};

/// Returns a uniform number in a nonempty range.
inline float uniformIn(Random& random, Range range) {
  const double width = static_cast<double>(range.high) - static_cast<double>(range.low);
  return static_cast<float>(static_cast<double>(range.low) + random.uniform() * width);
}

}  // namespace cross_attention::scenes
