#include "denoiser/learning_rate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace cross_attention::test::denoiser_learning_rate_test {

using denoiser::learningRate;
using denoiser::LearningRateOptions;

TEST(LearningRateTest, RisesStaysAndFallsAsACosine) {
  const LearningRateOptions options{.most = 0.01, .warmUp = 4, .steps = 20, .fall = 0.5};
  const std::vector<double> rising{0.0025, 0.005, 0.0075, 0.01};
  for (Index step = 0; step < 4; ++step) {
    EXPECT_DOUBLE_EQ(learningRate(step, options), rising[static_cast<std::size_t>(step)]);
  }
  for (Index step = 4; step <= 10; ++step) EXPECT_EQ(learningRate(step, options), 0.01);
  EXPECT_NEAR(learningRate(15, options), 0.005, 1e-15);
  EXPECT_NEAR(learningRate(18, options), 0.005 * (1 - std::cos(std::numbers::pi * 0.2)), 1e-15);
  for (Index step = 11; step < 20; ++step) {
    EXPECT_LT(learningRate(step, options), learningRate(step - 1, options));
  }
}

TEST(LearningRateTest, IsZeroFromTheLastStepOn) {
  const LearningRateOptions options{.most = 0.01, .warmUp = 4, .steps = 20, .fall = 0.5};
  EXPECT_EQ(learningRate(20, options), 0);
  EXPECT_EQ(learningRate(50, options), 0);
}

TEST(LearningRateTest, WithoutWarmUpAndFallStays) {
  const LearningRateOptions options{.most = 0.01, .warmUp = 0, .steps = 20, .fall = 0};
  EXPECT_EQ(learningRate(0, options), 0.01);
  EXPECT_EQ(learningRate(19, options), 0.01);
}

}  // namespace cross_attention::test::denoiser_learning_rate_test
