#include "operators/linear.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::operators_linear_test {

namespace {

using operators::Initial;
using operators::Linear;
using operators::ParameterSet;

struct Size {
  Index rows, in, out;
};

/// One of each, odd ones, more rows than a task (128) and than a chunk (1024) takes, more features than a tile and than
/// the microkernel's depth (192 doubles, 384 floats) takes.
constexpr Size kSizes[] = {{1, 1, 1},   {1, 37, 5},  {3, 1, 37},   {130, 37, 41},
                           {7, 401, 3}, {5, 3, 113}, {1100, 5, 3}, {2051, 2, 1}};

template <class T>
struct Case {
  ParameterSet<T> parameters{1};
  Linear<T> linear;
  Tensor<T> input, outputGradient;

  explicit Case(Size size, std::uint64_t seed = 3)
      : linear(parameters, "name", size.in, size.out),
        input(Shape{1, size.rows, size.in}),
        outputGradient(Shape{1, size.rows, size.out}) {
    // Drawn in float, so that a Case<double> has the same numbers.
    Random random(seed);
    for (auto& parameter : parameters) {
      for (T& value : parameter.values) value = static_cast<T>(static_cast<float>(random.normal()));
    }
    for (T& value : input) value = static_cast<T>(static_cast<float>(random.normal()));
    for (T& value : outputGradient) value = static_cast<T>(static_cast<float>(random.normal()));
  }

  auto& weight() { return *parameters.find("name.weight"); }
  auto& bias() { return *parameters.find("name.bias"); }
};

struct Reference {
  std::vector<double> output, inputGradient, weightGradient, biasGradient;

  Reference(Size size, const double* x, const double* dy, const double* weight, const double* bias)
      : output(static_cast<std::size_t>(size.rows * size.out)),
        inputGradient(static_cast<std::size_t>(size.rows * size.in)),
        weightGradient(static_cast<std::size_t>(size.out * size.in)),
        biasGradient(static_cast<std::size_t>(size.out)) {
    for (Index row = 0; row < size.rows; ++row) {
      for (Index o = 0; o < size.out; ++o) {
        double& sum = output[static_cast<std::size_t>(row * size.out + o)];
        const double slope = dy[row * size.out + o];
        sum = bias[o];
        biasGradient[static_cast<std::size_t>(o)] += slope;
        for (Index i = 0; i < size.in; ++i) {
          sum += x[row * size.in + i] * weight[o * size.in + i];
          inputGradient[static_cast<std::size_t>(row * size.in + i)] +=
              slope * weight[o * size.in + i];
          weightGradient[static_cast<std::size_t>(o * size.in + i)] += slope * x[row * size.in + i];
        }
      }
    }
  }
};

/// Forward and backward of T against the sums above. A sum of n products of unit-normal numbers has a random walk's
/// rounding of √n · √n · ε (n roundings of partial sums of size √n, of random sign); 8 covers the largest of thousands.
template <class T>
void expectLikeReference(Size size) {
  SCOPED_TRACE(testing::Message() << size.rows << " rows, " << size.in << " -> " << size.out);
  Case<T> one(size);
  Case<double> exact(size);
  const Reference expected(size, exact.input.data(), exact.outputGradient.data(),
                           exact.weight().values.data(), exact.bias().values.data());
  const auto allowed = [](Index terms) {
    return 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) *
           static_cast<double>(terms + 1);
  };
  const Tensor<T> output = one.linear.forward(one.input, true);
  EXPECT_EQ(output.shape(), (Shape{1, size.rows, size.out}));
  EXPECT_TRUE(isNear(output, expected.output, allowed(size.in)));
  const Tensor<T> inputGradient = one.linear.backward(one.outputGradient);
  EXPECT_EQ(inputGradient.shape(), one.input.shape());
  EXPECT_TRUE(isNear(inputGradient, expected.inputGradient, allowed(size.out)));
  EXPECT_TRUE(isNear(copyOf(one.weight().gradient), expected.weightGradient, allowed(size.rows)));
  EXPECT_TRUE(isNear(copyOf(one.bias().gradient), expected.biasGradient, allowed(size.rows)));
}

}  // namespace

TEST(LinearTest, ForwardAndBackwardInDouble) {
  for (const Size size : kSizes) expectLikeReference<double>(size);
}

TEST(LinearTest, ForwardAndBackwardInFloat) {
  for (const Size size : kSizes) expectLikeReference<float>(size);
}

TEST(LinearTest, GradientsLikeCentralDifferences) {
  for (const Size size : {Size{1, 37, 5}, Size{130, 37, 41}}) {
    Case<double> one(size);
    const Tensor<double> output = one.linear.forward(one.input, true);
    Tensor<double> inputGradient = one.linear.backward(one.outputGradient);
    const auto loss = [&] {
      return weightedSum(one.outputGradient, one.linear.forward(one.input, false));
    };
    // Linear in each of its arguments: nothing is truncated.
    const double tolerance = differenceTolerance(0, sumOfMagnitudes(one.outputGradient, output));
    expectCentralDifferences("input", elements(one.input), elements(inputGradient), tolerance,
                             loss);
    expectCentralDifferences("weight", elements(one.weight().values),
                             elements(one.weight().gradient), tolerance, loss);
    expectCentralDifferences("bias", elements(one.bias().values), elements(one.bias().gradient),
                             tolerance, loss);
  }
}

TEST(LinearTest, GradientsAddUp) {
  Case<double> one({130, 37, 41});
  one.linear.forward(one.input, true);
  one.linear.backward(one.outputGradient);
  std::vector<double> twice = copyOf(one.weight().gradient);
  for (double& value : twice) value *= 2;
  std::vector<double> twiceBias = copyOf(one.bias().gradient);
  for (double& value : twiceBias) value *= 2;
  one.linear.backward(one.outputGradient);
  // The second sum starts from the first one's result: 130 roundings of ε each, of sums of at most some √130.
  EXPECT_TRUE(isNear(copyOf(one.weight().gradient), twice, 1e-12));
  EXPECT_TRUE(isNear(copyOf(one.bias().gradient), twiceBias, 1e-12));
}

TEST(LinearTest, SameBitsForAllThreads) {
  for (const Size size : {Size{1, 37, 5}, Size{300, 37, 141}, Size{2051, 37, 41}}) {
    expectSameBitsForAllThreads([&] {
      Case<float> one(size);
      std::vector<float> all = copyOf(one.linear.forward(one.input, true));
      for (const std::vector<float>& more :
           {copyOf(one.linear.backward(one.outputGradient)), copyOf(one.weight().gradient),
            copyOf(one.bias().gradient)}) {
        all.insert(all.end(), more.begin(), more.end());
      }
      return all;
    });
  }
}

TEST(LinearTest, WhatIsNotTrainableKeepsItsGradient) {
  const Size size{130, 37, 41};
  Case<float> whole(size);
  whole.linear.forward(whole.input, true);
  const Tensor<float> wholeGradient = whole.linear.backward(whole.outputGradient);
  for (const bool isWeight : {false, true}) {
    Case<float> one(size);
    auto& frozen = isWeight ? one.weight() : one.bias();
    auto& other = isWeight ? one.bias() : one.weight();
    auto& otherWhole = isWeight ? whole.bias() : whole.weight();
    frozen.trainable = false;
    std::fill(frozen.gradient.begin(), frozen.gradient.end(), 7.0f);
    one.linear.forward(one.input, true);
    EXPECT_TRUE(isIdentical(one.linear.backward(one.outputGradient), wholeGradient));
    for (const float value : frozen.gradient) ASSERT_EQ(value, 7.0f);
    EXPECT_TRUE(isIdentical(copyOf(other.gradient), copyOf(otherWhole.gradient)));
  }
}

TEST(LinearTest, TakesAnyRankAndKeepsNothingUnasked) {
  Case<float> one({12, 5, 3});
  const Tensor<float> output = one.linear.forward(one.input, true);
  const Tensor<float> deep = one.linear.forward(one.input.reshaped({2, 3, 2, 5}), false);
  EXPECT_EQ(deep.shape(), (Shape{2, 3, 2, 3}));
  EXPECT_TRUE(isIdentical(deep, output));
  EXPECT_FALSE(one.input.isShared());
  one.linear.forward(one.input, true);
  EXPECT_TRUE(one.input.isShared());
}

}  // namespace cross_attention::test::operators_linear_test
