#include "denoiser/timestep_embedding.hpp"

#include <cmath>

namespace cross_attention::denoiser {

template <class T>
Tensor<T> timestepEmbedding(std::span<const T> times) {
  constexpr Index kWaves = kTimeFeatures / 2;
  Tensor<T> waves(Shape{static_cast<Index>(times.size()), 1, kTimeFeatures});
  T* value = waves.data();
  for (const T time : times) {
    for (Index wave = 0; wave < kWaves; ++wave) {
      const double frequency =
          1000.0 * std::pow(10000.0, -static_cast<double>(wave) / static_cast<double>(kWaves));
      *value++ = static_cast<T>(std::cos(static_cast<double>(time) * frequency));
      *value++ = static_cast<T>(std::sin(static_cast<double>(time) * frequency));
    }
  }
  return waves;
}

template Tensor<float> timestepEmbedding(std::span<const float>);
template Tensor<double> timestepEmbedding(std::span<const double>);

}  // namespace cross_attention::denoiser
