#include "operators/parameter.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/central_differences.hpp"
#include "support/comparison.hpp"

namespace cross_attention::test::operators_parameter_test {

namespace {

using operators::Initial;
using operators::Parameter;
using operators::ParameterSet;

}  // namespace

TEST(ParameterSetTest, InitialValuesHaveTheirDistribution) {
  ParameterSet<float> set(1);
  const Index count = 10000;
  const auto& zero = set.add("zero", {3}, Initial::zero());
  const auto& uniform = set.add("uniform", {100, 100}, Initial::xavier(30, 70));
  const auto& normal = set.add("normal", {count}, Initial::normal(0.5));
  EXPECT_EQ(largestMagnitude(copyOf(zero.values)), 0);
  const double bound = std::sqrt(6.0 / 100);
  EXPECT_LE(largestMagnitude(copyOf(uniform.values)), bound);
  double sum = 0, squares = 0, uniformSquares = 0;
  for (const float value : normal.values) {
    sum += value;
    squares += value * value;
  }
  for (const float value : uniform.values) uniformSquares += value * value;
  const auto n = static_cast<double>(count);
  // Five standard errors: 0.5/√n for the mean; relatively, √(2/n) for the variance of a normal and √(4/5/n)
  // for that of a uniform distribution.
  EXPECT_NEAR(sum / n, 0, 5 * 0.5 / std::sqrt(n));
  EXPECT_NEAR(squares / n / 0.25, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(uniformSquares / n / (bound * bound / 3), 1, 5 * std::sqrt(0.8 / n));
  for (const auto& parameter : set) EXPECT_EQ(largestMagnitude(copyOf(parameter.gradient)), 0);
}

TEST(ParameterSetTest, ValuesDependOnTheSeed) {
  const auto valuesOf = [](std::uint64_t seed) {
    ParameterSet<float> set(seed);
    set.add("a", {7}, Initial::normal(1));
    return copyOf(set.add("b", {9}, Initial::normal(1)).values);
  };
  EXPECT_TRUE(isIdentical(valuesOf(3), valuesOf(3)));
  EXPECT_FALSE(isIdentical(valuesOf(3), valuesOf(4)));
}

TEST(ParameterSetTest, FindsCountsAndClears) {
  ParameterSet<double> set(1);
  Parameter<double>& first = set.add("first", {2, 3}, Initial::normal(1));
  for (int more = 0; more < 100; ++more) set.add("more", {1}, Initial::zero());
  EXPECT_EQ(set.find("first"), &first);
  EXPECT_EQ(set.find("none"), nullptr);
  EXPECT_EQ(set.size(), 106);
  first.gradient[5] = 2;
  set.clearGradients();
  EXPECT_EQ(first.gradient[5], 0);
  EXPECT_TRUE(first.trainable);
  set.setTrainable(false);
  for (const auto& parameter : set) EXPECT_FALSE(parameter.trainable);
  const std::uint64_t version = set.version();
  set.touch();
  EXPECT_GT(set.version(), version);
}

}  // namespace cross_attention::test::operators_parameter_test
