#pragma once

#include <array>
#include <cstdint>

namespace cross_attention {

/// Random numbers from xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
/// 2021), seeded by SplitMix64. Integer arithmetic only: the same seed gives the same numbers on every
/// machine and SIMD variant.
class Random {
 public:
  explicit Random(std::uint64_t seed);

  std::uint64_t next();
  /// Returns a uniform number in [0, 1), a multiple of 2^-53.
  double uniform();
  /// Returns a normal number with mean 0 and standard deviation 1 (polar method: Marsaglia and Bray, 1964).
  double normal();

 private:
  std::array<std::uint64_t, 4> state_;
  double spare_ = 0;
  bool hasSpare_ = false;
};

}  // namespace cross_attention
