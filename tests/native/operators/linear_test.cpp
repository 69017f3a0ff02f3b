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

/// One row and feature, odd sizes, more rows than a task (128) and than a chunk (1024), more features than a
/// tile and than the depth of the microkernel (192 doubles, 384 floats).
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
    // The numbers are drawn in float so that a Case<double> has the same values.
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
        const double gradient = dy[row * size.out + o];
        sum = bias[o];
        biasGradient[static_cast<std::size_t>(o)] += gradient;
        for (Index i = 0; i < size.in; ++i) {
          sum += x[row * size.in + i] * weight[o * size.in + i];
          inputGradient[static_cast<std::size_t>(row * size.in + i)] += gradient * weight[o * size.in + i];
          weightGradient[static_cast<std::size_t>(o * size.in + i)] += gradient * x[row * size.in + i];
        }
      }
    }
  }
};

/// Compares forward and backward of T with the reference. The rounding error of a sum of n products of
/// unit-normal numbers is a random walk, √n · √n · ε (n roundings of partial sums of size √n, of random
/// sign). The factor 8 covers the largest of thousands of elements.
template <class T>
void expectMatchesReference(Size size) {
  SCOPED_TRACE(testing::Message() << size.rows << " rows, " << size.in << " -> " << size.out);
  Case<T> testCase(size);
  Case<double> exact(size);
  const Reference expected(size, exact.input.data(), exact.outputGradient.data(),
                           exact.weight().values.data(), exact.bias().values.data());
  const auto allowed = [](Index terms) {
    return 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) * static_cast<double>(terms + 1);
  };
  const Tensor<T> output = testCase.linear.forward(testCase.input, true);
  EXPECT_EQ(output.shape(), (Shape{1, size.rows, size.out}));
  EXPECT_TRUE(isNear(output, expected.output, allowed(size.in)));
  const Tensor<T> inputGradient = testCase.linear.backward(testCase.outputGradient);
  EXPECT_EQ(inputGradient.shape(), testCase.input.shape());
  EXPECT_TRUE(isNear(inputGradient, expected.inputGradient, allowed(size.out)));
  EXPECT_TRUE(isNear(copyOf(testCase.weight().gradient), expected.weightGradient, allowed(size.rows)));
  EXPECT_TRUE(isNear(copyOf(testCase.bias().gradient), expected.biasGradient, allowed(size.rows)));
}

}  // namespace

TEST(LinearTest, ForwardAndBackwardInDouble) {
  for (const Size size : kSizes) expectMatchesReference<double>(size);
}

TEST(LinearTest, ForwardAndBackwardInFloat) {
  for (const Size size : kSizes) expectMatchesReference<float>(size);
}

TEST(LinearTest, GradientsMatchCentralDifferences) {
  for (const Size size : {Size{1, 37, 5}, Size{130, 37, 41}}) {
    Case<double> testCase(size);
    const Tensor<double> output = testCase.linear.forward(testCase.input, true);
    Tensor<double> inputGradient = testCase.linear.backward(testCase.outputGradient);
    const auto loss = [&] {
      return weightedSum(testCase.outputGradient, testCase.linear.forward(testCase.input, false));
    };
    // The loss is linear in each argument, so there is no truncation error.
    const double tolerance = differenceTolerance(0, sumOfMagnitudes(testCase.outputGradient, output));
    expectCentralDifferences("input", elements(testCase.input), elements(inputGradient), tolerance, loss);
    expectCentralDifferences("weight", elements(testCase.weight().values),
                             elements(testCase.weight().gradient), tolerance, loss);
    expectCentralDifferences("bias", elements(testCase.bias().values), elements(testCase.bias().gradient),
                             tolerance, loss);
  }
}

TEST(LinearTest, AccumulatesGradients) {
  Case<double> testCase({130, 37, 41});
  testCase.linear.forward(testCase.input, true);
  testCase.linear.backward(testCase.outputGradient);
  std::vector<double> twice = copyOf(testCase.weight().gradient);
  for (double& value : twice) value *= 2;
  std::vector<double> twiceBias = copyOf(testCase.bias().gradient);
  for (double& value : twiceBias) value *= 2;
  testCase.linear.backward(testCase.outputGradient);
  // The second sum starts from the result of the first: 130 roundings of ε each, of sums of at most about
  // √130.
  EXPECT_TRUE(isNear(copyOf(testCase.weight().gradient), twice, 1e-12));
  EXPECT_TRUE(isNear(copyOf(testCase.bias().gradient), twiceBias, 1e-12));
}

TEST(LinearTest, SameBitsForAllThreads) {
  for (const Size size : {Size{1, 37, 5}, Size{300, 37, 141}, Size{2051, 37, 41}}) {
    expectSameBitsForAllThreads([&] {
      Case<float> testCase(size);
      std::vector<float> all = copyOf(testCase.linear.forward(testCase.input, true));
      for (const std::vector<float>& more :
           {copyOf(testCase.linear.backward(testCase.outputGradient)), copyOf(testCase.weight().gradient),
            copyOf(testCase.bias().gradient)}) {
        all.insert(all.end(), more.begin(), more.end());
      }
      return all;
    });
  }
}

TEST(LinearTest, FrozenParametersKeepTheirGradient) {
  const Size size{130, 37, 41};
  Case<float> whole(size);
  whole.linear.forward(whole.input, true);
  const Tensor<float> wholeGradient = whole.linear.backward(whole.outputGradient);
  for (const bool isWeight : {false, true}) {
    Case<float> testCase(size);
    auto& frozen = isWeight ? testCase.weight() : testCase.bias();
    auto& other = isWeight ? testCase.bias() : testCase.weight();
    auto& otherWhole = isWeight ? whole.bias() : whole.weight();
    frozen.trainable = false;
    std::fill(frozen.gradient.begin(), frozen.gradient.end(), 7.0f);
    testCase.linear.forward(testCase.input, true);
    EXPECT_TRUE(isIdentical(testCase.linear.backward(testCase.outputGradient), wholeGradient));
    for (const float value : frozen.gradient) ASSERT_EQ(value, 7.0f);
    EXPECT_TRUE(isIdentical(copyOf(other.gradient), copyOf(otherWhole.gradient)));
  }
}

TEST(LinearTest, AcceptsAnyRankAndSavesTheInputOnlyForTraining) {
  Case<float> testCase({12, 5, 3});
  const Tensor<float> output = testCase.linear.forward(testCase.input, true);
  const Tensor<float> deep = testCase.linear.forward(testCase.input.reshaped({2, 3, 2, 5}), false);
  EXPECT_EQ(deep.shape(), (Shape{2, 3, 2, 3}));
  EXPECT_TRUE(isIdentical(deep, output));
  EXPECT_FALSE(testCase.input.isShared());
  testCase.linear.forward(testCase.input, true);
  EXPECT_TRUE(testCase.input.isShared());
}

}  // namespace cross_attention::test::operators_linear_test
