#include "denoiser/sampling_step.hpp"

#include <algorithm>
#include <cmath>

#include "denoiser/batch_rows.hpp"

namespace cross_attention::denoiser {

namespace {

constexpr float kNoiseShift = 3;

}  // namespace

float timeAfter(float share) {
  const float noise = 1 - share;
  return 1 - kNoiseShift * noise / (1 + (kNoiseShift - 1) * noise);
}

Tensor<float> pictureNoise(const Shape& shape, Random& random) {
  Tensor<float> noise(shape);
  const Index values = rowSize(noise);
  for (Index i = 0; i < values; ++i) noise.data()[i] = static_cast<float>(random.normal());
  for (Index picture = 1; picture < shape[0]; ++picture) {
    std::copy(noise.data(), noise.data() + values, noise.data() + picture * values);
  }
  return noise;
}

void stepTo(Tensor<float>& noisy, const Tensor<float>& estimate, float time, float next, double eta,
            Random& random) {
  const auto fresh = static_cast<float>(eta);
  const float kept = std::sqrt(1 - fresh * fresh) * (1 - next) / (1 - time);
  for (Index i = 0; i < noisy.size(); ++i) {
    const float clean = estimate.data()[i];
    noisy.data()[i] = next * clean + kept * (noisy.data()[i] - time * clean);
  }
  if (fresh == 0 || next == 1) return;
  const Tensor<float> added = pictureNoise(noisy.shape(), random);
  for (Index i = 0; i < noisy.size(); ++i) noisy.data()[i] += fresh * (1 - next) * added.data()[i];
}

}  // namespace cross_attention::denoiser
