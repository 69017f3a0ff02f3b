// Measures the microkernel natively on this machine: the upper limit for work on the microkernel.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "simd/vector.hpp"
#include "tile_products.hpp"

namespace {

/// Returns the median GFLOP/s of many short runs, because the machine is rarely idle.
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
