#include "operators/adam.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "operators/embedding.hpp"
#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::operators_adam_test {

namespace {

using operators::Adam;
using operators::AdamOptions;
using operators::Initial;
using operators::ParameterSet;

/// Adds parameters of several tasks (16384 elements), of one task, and one that is not trained.
template <class T>
void fill(ParameterSet<T>& set) {
  set.add("large", {20011}, Initial::normal(1));
  set.add("small", {37}, Initial::normal(1));
  set.add("frozen", {5}, Initial::normal(1)).trainable = false;
}

template <class T>
void drawGradients(ParameterSet<T>& set, Random& random, double deviation) {
  for (auto& parameter : set) {
    for (T& value : parameter.gradient) value = static_cast<T>(deviation * random.normal());
  }
}

template <class T>
std::vector<T> allValues(const ParameterSet<T>& set) {
  std::vector<T> all;
  for (const auto& parameter : set) {
    all.insert(all.end(), parameter.values.begin(), parameter.values.end());
  }
  return all;
}

/// Algorithm 1 of Kingma and Ba as printed, value by value, after clipping of the gradient.
struct Reference {
  AdamOptions options;
  std::vector<double> values, mean, square, average;
  int step = 0;

  Reference(const AdamOptions& adamOptions, const std::vector<double>& initial)
      : options(adamOptions),
        values(initial),
        mean(initial.size()),
        square(initial.size()),
        average(initial) {}

  double update(const std::vector<double>& gradient, double rate) {
    double norm = 0;
    for (const double g : gradient) norm += g * g;
    norm = std::sqrt(norm);
    const double maxNorm = options.maxGradientNorm;
    const double scale = maxNorm > 0 && norm > maxNorm ? maxNorm / norm : 1;
    ++step;
    const double decay = std::min(options.emaDecay, (1.0 + step) / (10.0 + step));
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      const double g = gradient[i] * scale;
      mean[i] = options.beta1 * mean[i] + (1 - options.beta1) * g;
      square[i] = options.beta2 * square[i] + (1 - options.beta2) * g * g;
      const double m = mean[i] / (1 - std::pow(options.beta1, step));
      const double v = square[i] / (1 - std::pow(options.beta2, step));
      values[i] -= rate * m / (std::sqrt(v) + options.epsilon);
      average[i] = decay * average[i] + (1 - decay) * values[i];
    }
    return norm;
  }
};

/// Compares 20 steps of T with the reference. The gradients have this standard deviation; their norm is over
/// 20048 elements.
template <class T>
void expectMatchesReference(double deviation, const AdamOptions& options, double tolerance) {
  SCOPED_TRACE(testing::Message() << "gradients of standard deviation " << deviation);
  ParameterSet<T> set(5);
  fill(set);
  Adam<T> adam(set, options);
  const std::vector<T> frozen = copyOf(set.find("frozen")->values);
  const auto trained = [&] {
    std::vector<double> all;
    for (const auto& parameter : set) {
      if (parameter.trainable) {
        all.insert(all.end(), parameter.values.begin(), parameter.values.end());
      }
    }
    return all;
  };
  Reference reference(options, trained());
  Random random(6);
  for (int step = 1; step <= 20; ++step) {
    drawGradients(set, random, deviation);
    const std::vector<T> frozenGradient = copyOf(set.find("frozen")->gradient);
    std::vector<double> gradient;
    for (const auto& parameter : set) {
      if (!parameter.trainable) continue;
      gradient.insert(gradient.end(), parameter.gradient.begin(), parameter.gradient.end());
    }
    const double rate = 0.1 / step;
    const std::uint64_t version = set.version();
    const double norm = adam.update(rate);
    EXPECT_GT(set.version(), version);
    // Squares are added in T, in sixteen sums of 1250 terms. The relative error is at most 1250 roundings, in
    // practice far less.
    const double expected = reference.update(gradient, rate);
    EXPECT_NEAR(norm, expected, 1250 * static_cast<double>(std::numeric_limits<T>::epsilon()) * expected);
    EXPECT_EQ(adam.step(), step);
    ASSERT_TRUE(isNear(trained(), reference.values, tolerance)) << "step " << step;
    for (const auto& parameter : set) {
      if (parameter.trainable) {
        ASSERT_EQ(largestMagnitude(copyOf(parameter.gradient)), 0);
      } else {
        EXPECT_TRUE(isIdentical(copyOf(parameter.gradient), frozenGradient));
      }
    }
  }
  EXPECT_TRUE(isIdentical(copyOf(set.find("frozen")->values), frozen));
  adam.swapEma();
  EXPECT_TRUE(isNear(trained(), reference.average, tolerance));
  EXPECT_TRUE(isIdentical(copyOf(set.find("frozen")->values), frozen));
}

}  // namespace

TEST(AdamTest, TwentyStepsInDouble) {
  // A step is at most 0.1·(1 - β₁)/√(1 - β₂) = 0.1. Its error is that of about 10 roundings and of 20000
  // roundings of the squared norm, which partly cancel. Values are below 5.
  for (const double deviation : {1e-4, 1.0}) expectMatchesReference<double>(deviation, {}, 1e-12);
  expectMatchesReference<double>(3.0, {.maxGradientNorm = 0}, 1e-12);
  expectMatchesReference<double>(1.0, {.beta1 = 0.8, .beta2 = 0.999, .epsilon = 1e-3, .emaDecay = 0.5},
                                 1e-12);
}

TEST(AdamTest, TwentyStepsInFloat) {
  // Values of at most 5 are rounded to 2.4e-7 twenty times. The relative rounding error of a moment, 20·ε,
  // changes a step of 0.1 by the same relative amount, or by more if opposite gradients cancel in the mean
  // and leave its error of ε.
  for (const double deviation : {1e-4, 1.0}) expectMatchesReference<float>(deviation, {}, 5e-6);
}

TEST(AdamTest, ClipsTheGlobalNorm) {
  // After clipping, gradients of any norm have the same direction and norm, so the steps are equal up to
  // rounding. Two steps are compared because the first step has the size of the learning rate for any
  // gradient.
  std::vector<std::vector<double>> results;
  for (const double deviation : {1.0, 8.0}) {
    ParameterSet<double> set(5);
    fill(set);
    Adam<double> adam(set, {.epsilon = 1e-2});
    Random random(7);
    for (int step = 0; step < 2; ++step) {
      drawGradients(set, random, deviation);
      EXPECT_GT(adam.update(0.1), 100 * deviation);
    }
    results.push_back(allValues(set));
  }
  EXPECT_TRUE(isNear(results[0], results[1], 1e-13));
}

TEST(AdamTest, SwappingAveragesTwiceChangesNothing) {
  ParameterSet<float> set(5);
  fill(set);
  Adam<float> adam(set, {});
  Random random(8);
  drawGradients(set, random, 1);
  adam.update(0.1);
  const std::vector<float> values = allValues(set);
  const std::uint64_t version = set.version();
  adam.swapEma();
  EXPECT_GT(set.version(), version);
  EXPECT_FALSE(isIdentical(allValues(set), values));
  adam.swapEma();
  EXPECT_TRUE(isIdentical(allValues(set), values));
}

TEST(AdamTest, RefusesChangedParameters) {
  ParameterSet<float> set(5);
  fill(set);
  operators::Embedding<float> embedding(set, "words", 3, 2, 4);
  Adam<float> adam(set, {});
  const std::vector<float> before = allValues(set);
  set.find("frozen")->trainable = true;
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { adam.update(0.1); }));
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { adam.swapEma(); }));
  set.find("frozen")->trainable = false;
  EXPECT_TRUE(isIdentical(allValues(set), before));
  EXPECT_EQ(adam.step(), 0);
  adam.update(0.1);
  embedding.addEntry(1);
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { adam.update(0.1); }));
  EXPECT_EQ(adam.step(), 1);
}

TEST(AdamTest, SameBitsForAllThreads) {
  expectSameBitsForAllThreads([] {
    ParameterSet<float> set(5);
    fill(set);
    Adam<float> adam(set, {});
    Random random(9);
    for (int step = 0; step < 3; ++step) {
      drawGradients(set, random, 1);
      adam.update(0.1);
    }
    return allValues(set);
  });
}

}  // namespace cross_attention::test::operators_adam_test
