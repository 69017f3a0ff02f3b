#include "operators/depthwise_convolution.hpp"

#include <gtest/gtest.h>

#include "support/central_differences.hpp"

namespace cross_attention::test::operators_depthwise_convolution_test {

namespace {

using operators::DepthwiseConvolution;
using operators::ParameterSet;

constexpr Index kBatch = 2;
/// Of a gradient that are checked.
constexpr Index kMaxElements = 400;

/// y[r, c, f] straight from the definition, in double.
template <class T>
double expected(const Tensor<T>& x, const Buffer<T>& weight, Index side, Index features, Index row,
                Index r, Index c, Index f) {
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

TEST(DepthwiseConvolutionTest, BeginsAsTheIdentity) {
  ParameterSet<float> parameters(1);
  DepthwiseConvolution<float> convolution(parameters, "mix", 3, 37);
  Random random(2);
  const auto x = normalTensor<float>(random, Shape{kBatch, 9, 37});
  const Tensor<float> y = convolution.forward(x, false);
  EXPECT_TRUE(std::equal(y.begin(), y.end(), x.begin()));
}

TEST(DepthwiseConvolutionTest, IsItsDefinition) {
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
        const double exact = expected(x, weight, side, features, i / (features * side * side),
                                      token / side, token % side, i % features);
        // Nine products and sums, each rounded to half a unit of at most some 20.
        EXPECT_NEAR(y.data()[i], exact, 18 * 20 * 0x1p-24) << side << " " << i;
      }
    }
  }
}

TEST(DepthwiseConvolutionTest, GradientsAreCentralDifferences) {
  constexpr Index kSide = 3;
  constexpr Index kFeatures = 5;
  ParameterSet<double> parameters(1);
  DepthwiseConvolution<double> convolution(parameters, "mix", kSide, kFeatures);
  Random random(4);
  auto& parameter = *parameters.begin();
  for (double& value : parameter.values) value = random.normal();
  auto x = normalTensor<double>(random, Shape{kBatch, kSide * kSide, kFeatures});
  const auto slope = normalTensor<double>(random, x.shape());
  const auto loss = [&] { return weightedSum(slope, convolution.forward(x, false)); };
  // Linear in each number: no truncation.
  const double tolerance =
      differenceTolerance(0, sumOfMagnitudes(slope, convolution.forward(x, false)));
  convolution.forward(x, true);
  const Tensor<double> gradient = convolution.backward(slope);
  expectCentralDifferences("x", elements(x), copyOf(gradient), tolerance, loss, kMaxElements);
  expectCentralDifferences("weight", elements(parameter.values), copyOf(parameter.gradient),
                           tolerance, loss, kMaxElements);
}

TEST(DepthwiseConvolutionTest, AFrozenWeightGetsNoGradient) {
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
