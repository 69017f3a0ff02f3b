// The ceiling of the machine that builds, for people who work on the microkernel.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "simd/vector.hpp"
#include "tile_products.hpp"

namespace {

/// The median of GFLOP/s over many short runs: a machine is seldom all one's own.
double measure(double flops, void (*multiply)(int)) {
  using Clock = std::chrono::steady_clock;
  constexpr int kRuns = 101;
  constexpr int kProducts = 20000;
  std::vector<double> rates;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = Clock::now();
    multiply(kProducts);
    const std::chrono::duration<double, std::nano> elapsed = Clock::now() - start;
    rates.push_back(flops * kProducts / elapsed.count());
  }
  std::nth_element(rates.begin(), rates.begin() + kRuns / 2, rates.end());
  return rates[kRuns / 2];
}

}  // namespace

int main() {
  std::printf("The microkernel, %s, one thread\n", cross_attention::simd::kInstructionSet);
  std::printf("float32 %7.1f GFLOP/s\n", measure(flopsOfTileFloat32(), multiplyTilesFloat32));
  std::printf("float64 %7.1f GFLOP/s\n", measure(flopsOfTileFloat64(), multiplyTilesFloat64));
}
