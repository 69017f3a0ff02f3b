#include "operators/layer_norm.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::operators_layer_norm_test {

namespace {

using operators::LayerNorm;

/// One row, one feature, odd sizes, and more rows than one task has (16384 elements).
const Shape kShapes[] = {Shape{1, 1}, Shape{1, 37}, Shape{130, 1}, Shape{2, 65, 37}, Shape{130, 300}};

Tensor<float> randomInput(const Shape& shape) {
  Random random(7);
  Tensor<float> input = normalTensor<float>(random, shape);
  // A mean of 0 and a deviation of 1 would hide a missing subtraction or division.
  for (float& value : input) value = 3.0f + 2.0f * value;
  return input;
}

std::vector<double> reference(const Tensor<double>& input) {
  const Index features = input.shape()[input.rank() - 1];
  std::vector<double> output;
  for (Index begin = 0; begin < input.size(); begin += features) {
    const double* x = input.data() + begin;
    double mean = 0;
    for (Index i = 0; i < features; ++i) mean += x[i] / static_cast<double>(features);
    double variance = 0;
    for (Index i = 0; i < features; ++i) {
      variance += (x[i] - mean) * (x[i] - mean) / static_cast<double>(features);
    }
    for (Index i = 0; i < features; ++i) {
      output.push_back((x[i] - mean) / std::sqrt(variance + 1e-6));
    }
  }
  return output;
}

/// Values of at most about 10 are subtracted from each other and divided by 2. That is a few roundings of
/// 10·ε / 2, and √features roundings of the mean. The factor 64 covers them.
template <class T>
double tolerance() {
  return 64 * static_cast<double>(std::numeric_limits<T>::epsilon());
}

}  // namespace

TEST(LayerNormTest, ForwardMatchesReference) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    const Tensor<float> input = randomInput(shape);
    const Tensor<double> exact = converted<double>(input);
    const std::vector<double> expected = reference(exact);
    LayerNorm<float> inFloat;
    LayerNorm<double> inDouble;
    const Tensor<float> output = inFloat.forward(input, true);
    EXPECT_EQ(output.shape(), shape);
    // A single feature equals its mean. Its rounding error is divided by 10⁻³, not by the deviation.
    EXPECT_TRUE(isNear(output, expected, tolerance<float>()));
    EXPECT_TRUE(isNear(inDouble.forward(exact, true), expected, tolerance<double>()));
  }
}

TEST(LayerNormTest, RowOfEqualValuesBecomesZero) {
  LayerNorm<float> norm;
  const Tensor<float> output = norm.forward(Tensor<float>::full(Shape{2, 32}, 0.75f), true);
  EXPECT_TRUE(isIdentical(output, Tensor<float>::zeros(Shape{2, 32})));
  EXPECT_TRUE(isFinite(norm.backward(Tensor<float>::full(Shape{2, 32}, 1.0f))));
}

TEST(LayerNormTest, BackwardMatchesCentralDifferences) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    Tensor<double> input = converted<double>(randomInput(shape));
    Random random(8);
    const Tensor<double> outputGradient = normalTensor<double>(random, shape);
    LayerNorm<double> norm;
    const Tensor<double> output = norm.forward(input, true);
    Tensor<double> gradient = norm.backward(outputGradient);
    EXPECT_EQ(gradient.shape(), shape);
    // A third derivative of y is about (1/deviation)³ · 15 with a deviation of 2. The 300 output gradients of
    // about 1 each have a weight of 1/300.
    expectCentralDifferences("input", elements(input), elements(gradient),
                             differenceTolerance(15, sumOfMagnitudes(outputGradient, output)), [&] {
                               LayerNorm<double> again;
                               return weightedSum(outputGradient, again.forward(input, false));
                             });
  }
}

TEST(LayerNormTest, FloatBackwardMatchesDouble) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    const Tensor<float> input = randomInput(shape);
    Random random(8);
    const Tensor<float> outputGradient = normalTensor<float>(random, shape);
    LayerNorm<float> inFloat;
    LayerNorm<double> inDouble;
    inFloat.forward(input, true);
    inDouble.forward(converted<double>(input), true);
    const Tensor<float> gradient = inFloat.backward(outputGradient);
    const Tensor<double> exact = inDouble.backward(converted<double>(outputGradient));
    if (shape[shape.rank() - 1] == 1) {
      // Exactly zero: the output gradient minus itself.
      EXPECT_TRUE(isIdentical(gradient, Tensor<float>::zeros(shape)));
    }
    EXPECT_TRUE(isNear(gradient, exact, tolerance<float>()));
  }
}

TEST(LayerNormTest, SameBitsForAllThreads) {
  for (const Shape& shape : kShapes) {
    expectSameBitsForAllThreads([&] {
      LayerNorm<float> norm;
      const Tensor<float> input = randomInput(shape);
      std::vector<float> all = copyOf(norm.forward(input, true));
      const Tensor<float> gradient = norm.backward(input);
      all.insert(all.end(), gradient.begin(), gradient.end());
      return all;
    });
  }
}

}  // namespace cross_attention::test::operators_layer_norm_test
