#include "denoiser/sampling_step.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace cross_attention::test::denoiser_sampling_step_test {

namespace {

using denoiser::pictureNoise;
using denoiser::stepTo;
using denoiser::timeAfter;

constexpr Index kValues = 40000;

double meanProduct(const Tensor<float>& one, const Tensor<float>& other) {
  double sum = 0;
  for (Index i = 0; i < one.size(); ++i) {
    sum += static_cast<double>(one.data()[i]) * static_cast<double>(other.data()[i]);
  }
  return sum / static_cast<double>(one.size());
}

}  // namespace

TEST(SamplingStepTest, TimesGoFromNoiseToPictureInGrowingSteps) {
  EXPECT_EQ(timeAfter(0), 0);
  EXPECT_EQ(timeAfter(1), 1);
  // Half the noise becomes 3·0.5 / (1 + 2·0.5).
  EXPECT_FLOAT_EQ(timeAfter(0.5f), 0.25f);
  float before = 0, longest = 0;
  for (int step = 1; step <= 20; ++step) {
    const float time = timeAfter(static_cast<float>(step) / 20);
    EXPECT_GT(time - before, longest);
    longest = time - before;
    before = time;
  }
}

TEST(SamplingStepTest, NoiseOfAllPicturesIsTheSame) {
  Random random(1);
  const Tensor<float> noise = pictureNoise({2, 3, 4, 4}, random);
  for (Index i = 0; i < 48; ++i) EXPECT_EQ(noise.data()[i], noise.data()[48 + i]);
  EXPECT_NE(noise.data()[0], noise.data()[1]);
}

TEST(SamplingStepTest, NoiseKeepsItsVarianceAndEtaSaysHowMuchOfItIsNew) {
  // A picture that is estimated as it is: what is not it must be (1 - t)·noise of variance 1 again.
  constexpr float kTime = 0.2f, kNext = 0.5f;
  for (const double eta : {0.0, 0.3, 0.5, 1.0}) {
    SCOPED_TRACE(eta);
    Random random(7);
    const Tensor<float> first = pictureNoise({1, kValues}, random);
    const Tensor<float> picture = pictureNoise({1, kValues}, random);
    Tensor<float> noisy(first.shape());
    for (Index i = 0; i < kValues; ++i) {
      noisy.data()[i] = kTime * picture.data()[i] + (1 - kTime) * first.data()[i];
    }
    stepTo(noisy, picture, kTime, kNext, eta, random);
    Tensor<float> noise(first.shape());
    for (Index i = 0; i < kValues; ++i) {
      noise.data()[i] = (noisy.data()[i] - kNext * picture.data()[i]) / (1 - kNext);
    }
    // Means of 40,000 products of unit normals stray by at most √2/200; five of those.
    constexpr double kTolerance = 5 * 1.4143 / 200;
    EXPECT_NEAR(meanProduct(noise, noise), 1, kTolerance);
    EXPECT_NEAR(meanProduct(noise, first), std::sqrt(1 - eta * eta), kTolerance);
    EXPECT_NEAR(meanProduct(noise, picture), 0, kTolerance);
  }
}

TEST(SamplingStepTest, TheLastStepIsTheEstimate) {
  for (const double eta : {0.0, 1.0}) {
    Random random(3);
    const Tensor<float> estimate = pictureNoise({1, 48}, random);
    Tensor<float> noisy = pictureNoise({1, 48}, random);
    stepTo(noisy, estimate, 0.8f, 1, eta, random);
    for (Index i = 0; i < 48; ++i) EXPECT_EQ(noisy.data()[i], estimate.data()[i]);
  }
}

}  // namespace cross_attention::test::denoiser_sampling_step_test
