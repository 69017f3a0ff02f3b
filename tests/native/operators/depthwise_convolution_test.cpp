#include "operators/depthwise_convolution.hpp"

#include <gtest/gtest.h>

#include "support/central_differences.hpp"

namespace cross_attention::test::operators_depthwise_convolution_test {

namespace {

using operators::DepthwiseConvolution;
using operators::ParameterSet;

constexpr Index kBatch = 2;
/// The maximum number of elements of a gradient that are checked.
constexpr Index kMaxElements = 400;

/// Returns y[r, c, f] by the definition, in double.
template <class T>
double expected(const Tensor<T>& x, const Buffer<T>& weight, Index side, Index features, Index row, Index r,
                Index c, Index f) {
  double sum = 0;
  for (Index down = -1; down <= 1; ++down) {
    for (Index right = -1; right <= 1; ++right) {
      const Index y = r + down;
      const Index z = c + right;
      if (y < 0 || y >= side || z < 0 || z >= side) continue;
      sum += double{weight[((down + 1) * 3 + right + 1) * features + f]} *
             double{x.data()[((row * side + y) * side + z) * features + f]};
    }
  }
  return sum;
}

TEST(DepthwiseConvolutionTest, StartsAsTheIdentity) {
  ParameterSet<float> parameters(1);
  DepthwiseConvolution<float> convolution(parameters, "mix", 3, 37);
  Random random(2);
  const auto x = normalTensor<float>(random, Shape{kBatch, 9, 37});
  const Tensor<float> y = convolution.forward(x, false);
  EXPECT_TRUE(std::equal(y.begin(), y.end(), x.begin()));
}

TEST(DepthwiseConvolutionTest, MatchesItsDefinition) {
  for (const Index side : {1, 2, 5}) {
    for (const Index features : {1, 70}) {
      ParameterSet<float> parameters(1);
      DepthwiseConvolution<float> convolution(parameters, "mix", side, features);
      Random random(3);
      Buffer<float>& weight = parameters.begin()->values;
      for (float& value : weight) value = static_cast<float>(random.normal());
      const auto x = normalTensor<float>(random, Shape{kBatch, side * side, features});
      const Tensor<float> y = convolution.forward(x, false);
      for (Index i = 0; i < y.size(); ++i) {
        const Index token = i / features % (side * side);
        const double exact = expected(x, weight, side, features, i / (features * side * side), token / side,
                                      token % side, i % features);
        // Nine products and sums of at most about 20, each rounded to half a unit in the last place.
        EXPECT_NEAR(y.data()[i], exact, 18 * 20 * 0x1p-24) << side << " " << i;
      }
    }
  }
}

TEST(DepthwiseConvolutionTest, GradientsMatchCentralDifferences) {
  constexpr Index kSide = 3;
  constexpr Index kFeatures = 5;
  ParameterSet<double> parameters(1);
  DepthwiseConvolution<double> convolution(parameters, "mix", kSide, kFeatures);
  Random random(4);
  auto& parameter = *parameters.begin();
  for (double& value : parameter.values) value = random.normal();
  auto x = normalTensor<double>(random, Shape{kBatch, kSide * kSide, kFeatures});
  const auto outputGradient = normalTensor<double>(random, x.shape());
  const auto loss = [&] { return weightedSum(outputGradient, convolution.forward(x, false)); };
  // The loss is linear in each number, so there is no truncation error.
  const double tolerance =
      differenceTolerance(0, sumOfMagnitudes(outputGradient, convolution.forward(x, false)));
  convolution.forward(x, true);
  const Tensor<double> gradient = convolution.backward(outputGradient);
  expectCentralDifferences("x", elements(x), copyOf(gradient), tolerance, loss, kMaxElements);
  expectCentralDifferences("weight", elements(parameter.values), copyOf(parameter.gradient), tolerance, loss,
                           kMaxElements);
}

TEST(DepthwiseConvolutionTest, FrozenWeightGetsNoGradient) {
  ParameterSet<float> parameters(1);
  DepthwiseConvolution<float> convolution(parameters, "mix", 2, 3);
  parameters.setTrainable(false);
  const auto x = Tensor<float>::full(Shape{1, 4, 3}, 1);
  convolution.forward(x, true);
  convolution.backward(x);
  for (const float value : parameters.begin()->gradient) EXPECT_EQ(value, 0);
}

}  // namespace

}  // namespace cross_attention::test::operators_depthwise_convolution_test
