#include <gtest/gtest.h>

#include <cmath>

#include "support/build.hpp"
#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/threads.hpp"
#include "support/tiny_denoiser.hpp"

/// The gradient of the training loss by every parameter of a whole denoiser.
namespace cross_attention::test::denoiser_gradients_test {

namespace {

using denoiser::Batch;
using denoiser::Trainer;

/// Without replaced prompts; the same times and noise every time.
template <class T>
double lossOf(TinyDenoiser<T>& denoiser, const Batch<T>& batch, bool learn) {
  Trainer<T> trainer(denoiser, {.promptDropout = 0});
  Random random(9);
  return trainer.loss(batch, random, learn);
}

}  // namespace

TEST(DenoiserGradientsTest, EveryParameterLikeCentralDifferences) {
  constexpr double kStep = 1e-4;
  TinyDenoiser<double> denoiser;
  const Batch<double> batch = tinyBatch<double>();
  Trainer<double> trainer(denoiser, {.promptDropout = 0});
  const auto loss = [&](bool learn) {
    denoiser.parameters().touch();
    Random random(9);
    return trainer.loss(batch, random, learn);
  };
  const double value = loss(true);
  // A loss goes through some 50 operators, each of which rounds a sum of 30 or so.
  const double rounding = 300 * std::numeric_limits<double>::epsilon() * value / kStep;
  Random random(10);
  double worst = 0;
  for (auto& parameter : denoiser.parameters()) {
    const auto largest = largestMagnitude(copyOf(parameter.gradient));
    EXPECT_GT(largest, 1000 * rounding) << parameter.name << ": nothing would be tested";
    for (int sample = 0; sample < reduced(8, 2); ++sample) {
      const Index i = between(random, 0, parameter.shape.size() - 1);
      const double before = parameter.values[i];
      const auto quotient = [&](double step) {
        parameter.values[i] = before + step;
        const double above = loss(false);
        parameter.values[i] = before - step;
        const double below = loss(false);
        parameter.values[i] = before;
        return (above - below) / (2 * step);
      };
      const double one = quotient(kStep);
      // Truncation is c·h² + …: that of h is a third of how far 2h is from h. All of it is allowed.
      const double allowed = std::abs(quotient(2 * kStep) - one) + rounding;
      const double difference = std::abs(parameter.gradient[i] - one);
      EXPECT_LE(difference, allowed) << parameter.name << ", element " << i << ": " << parameter.gradient[i]
                                     << " instead of " << one;
      EXPECT_LE(allowed, 1e-4 * std::max(largest, 1e-3)) << parameter.name << ": allows too much";
      worst = std::max(worst, difference / allowed);
    }
  }
  std::printf("worst difference over what is allowed: %.3f\n", worst);
}

TEST(DenoiserGradientsTest, AnUnseenWordAndFillingHaveNone) {
  TinyDenoiser<double> denoiser;
  lossOf(denoiser, tinyBatch<double>(), true);
  const auto& table = denoiser.textEncoder().embedding().table();
  const Index features = table.shape[1];
  for (Index id = 0; id < table.shape[0]; ++id) {
    double largest = 0;
    for (Index i = 0; i < features; ++i) {
      largest = std::max(largest, std::abs(table.gradient[id * features + i]));
    }
    const bool isSeen = id != denoiser::Vocabulary::kFill && id != denoiser.vocabulary().find("square");
    EXPECT_EQ(largest > 0, isSeen) << "id " << id;
  }
}

TEST(DenoiserGradientsTest, FloatLikeDouble) {
  TinyDenoiser<float> inFloat;
  TinyDenoiser<double> inDouble;
  EXPECT_TRUE(isIdentical(allValues(inFloat.parameters()), [&] {
    const std::vector<double> exact = allValues(inDouble.parameters());
    return std::vector<float>(exact.begin(), exact.end());
  }()));
  Batch<float> batch = tinyBatch<float>();
  const Batch<double> exactBatch{converted<double>(batch.pictures), batch.prompts};
  const double loss = lossOf(inFloat, batch, true);
  const double exactLoss = lossOf(inDouble, exactBatch, true);
  // Some 50 operators one after another, each of which adds a few roundings of ε = 1.2e-7 to all that it passes on.
  constexpr double kTolerance = 1e-4;
  EXPECT_NEAR(loss, exactLoss, kTolerance * exactLoss);
  auto exact = inDouble.parameters().begin();
  for (const auto& parameter : inFloat.parameters()) {
    const std::vector<double> expected = copyOf((exact++)->gradient);
    EXPECT_TRUE(isRelativelyNear(copyOf(parameter.gradient), expected, kTolerance)) << parameter.name;
  }
}

TEST(DenoiserGradientsTest, SameBitsForAllThreads) {
  expectSameBitsForAllThreads([] {
    TinyDenoiser<float> denoiser;
    const auto loss = static_cast<float>(lossOf(denoiser, tinyBatch<float>(), true));
    std::vector<float> all = allGradients(denoiser.parameters());
    all.push_back(loss);
    return all;
  });
}

TEST(DenoiserGradientsTest, WhatIsNotTrainableKeepsItsGradient) {
  TinyDenoiser<float> whole;
  lossOf(whole, tinyBatch<float>(), true);
  std::size_t count = 0;
  for (const auto& parameter : whole.parameters()) count += parameter.shape.size() > 0 ? 1 : 0;
  // Every second one, then the others, then none of them.
  for (const std::size_t trainable : {std::size_t(0), std::size_t(1), count}) {
    TinyDenoiser<float> denoiser;
    std::size_t index = 0;
    for (auto& parameter : denoiser.parameters()) {
      parameter.trainable = trainable < 2 && index++ % 2 == trainable;
    }
    lossOf(denoiser, tinyBatch<float>(), true);
    auto expected = whole.parameters().begin();
    for (const auto& parameter : denoiser.parameters()) {
      if (parameter.trainable) {
        EXPECT_TRUE(isIdentical(copyOf(parameter.gradient), copyOf(expected->gradient))) << parameter.name;
      } else {
        EXPECT_EQ(largestMagnitude(copyOf(parameter.gradient)), 0) << parameter.name;
      }
      ++expected;
    }
  }
}

TEST(DenoiserGradientsTest, WhatAloneIsTrainableHasTheSameGradient) {
  TinyDenoiser<float> whole;
  lossOf(whole, tinyBatch<float>(), true);
  for (const auto& expected : whole.parameters()) {
    TinyDenoiser<float> denoiser;
    denoiser.parameters().setTrainable(false);
    auto& parameter = *denoiser.parameters().find(expected.name);
    parameter.trainable = true;
    lossOf(denoiser, tinyBatch<float>(), true);
    EXPECT_TRUE(isIdentical(copyOf(parameter.gradient), copyOf(expected.gradient))) << parameter.name;
  }
}

TEST(DenoiserGradientsTest, ALossWithoutLearningLeavesThemAlone) {
  TinyDenoiser<float> denoiser;
  const double loss = lossOf(denoiser, tinyBatch<float>(), false);
  EXPECT_EQ(largestMagnitude(allGradients(denoiser.parameters())), 0);
  EXPECT_EQ(lossOf(denoiser, tinyBatch<float>(), true), loss);
}

}  // namespace cross_attention::test::denoiser_gradients_test
