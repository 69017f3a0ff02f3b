#include "denoiser/timestep_embedding.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace cross_attention::test::denoiser_timestep_embedding_test {

using denoiser::kTimeFeatures;
using denoiser::timestepEmbedding;

TEST(TimestepEmbeddingTest, AreCosinesAndSinesFromFastToSlow) {
  const std::array times{0.0, 0.25, 1.0};
  const Tensor<double> waves = timestepEmbedding<double>(times);
  ASSERT_EQ(waves.shape(), (Shape{3, 1, kTimeFeatures}));
  for (Index row = 0; row < 3; ++row) {
    const double* values = waves.data() + row * kTimeFeatures;
    const double time = times[static_cast<std::size_t>(row)];
    EXPECT_NEAR(values[0], std::cos(1000 * time), 1e-12);
    EXPECT_NEAR(values[1], std::sin(1000 * time), 1e-12);
    // Half-way down from 1000 to 0.1 on a logarithmic scale.
    EXPECT_NEAR(values[kTimeFeatures / 2], std::cos(10 * time), 1e-12);
    EXPECT_NEAR(values[kTimeFeatures / 2 + 1], std::sin(10 * time), 1e-12);
    for (Index wave = 0; wave < kTimeFeatures; wave += 2) {
      EXPECT_NEAR(std::hypot(values[wave], values[wave + 1]), 1, 1e-15);
    }
  }
}

}  // namespace cross_attention::test::denoiser_timestep_embedding_test
