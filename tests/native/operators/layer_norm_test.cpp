#include "operators/layer_norm.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::operators_layer_norm_test {

namespace {

using operators::LayerNorm;

/// A row, a feature, odd ones, and more rows than one task takes (16384 elements).
const Shape kShapes[] = {Shape{1, 1}, Shape{1, 37}, Shape{130, 1}, Shape{2, 65, 37},
                         Shape{130, 300}};

Tensor<float> randomInput(const Shape& shape) {
  Random random(7);
  Tensor<float> input = normalTensor<float>(random, shape);
  // Away from a mean of 0 and a deviation of 1, which would hide what is not subtracted or divided by.
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

/// Values of at most some 10 are subtracted from each other and divided by 2: a few roundings of 10·ε / 2, and the mean's
/// of √features. 64 covers them.
template <class T>
double tolerance() {
  return 64 * static_cast<double>(std::numeric_limits<T>::epsilon());
}

}  // namespace

TEST(LayerNormTest, ForwardLikeReference) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    const Tensor<float> input = randomInput(shape);
    const Tensor<double> exact = converted<double>(input);
    const std::vector<double> expected = reference(exact);
    LayerNorm<float> inFloat;
    LayerNorm<double> inDouble;
    const Tensor<float> output = inFloat.forward(input, true);
    EXPECT_EQ(output.shape(), shape);
    // One feature is its own mean; what rounding leaves of it is not divided by its deviation but by 10⁻³.
    EXPECT_TRUE(isNear(output, expected, tolerance<float>()));
    EXPECT_TRUE(isNear(inDouble.forward(exact, true), expected, tolerance<double>()));
  }
}

TEST(LayerNormTest, ARowOfEqualValuesBecomesZero) {
  LayerNorm<float> norm;
  const Tensor<float> output = norm.forward(Tensor<float>::full(Shape{2, 32}, 0.75f), true);
  EXPECT_TRUE(isIdentical(output, Tensor<float>::zeros(Shape{2, 32})));
  EXPECT_TRUE(isFinite(norm.backward(Tensor<float>::full(Shape{2, 32}, 1.0f))));
}

TEST(LayerNormTest, BackwardLikeCentralDifferences) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    Tensor<double> input = converted<double>(randomInput(shape));
    Random random(8);
    const Tensor<double> slopes = normalTensor<double>(random, shape);
    LayerNorm<double> norm;
    const Tensor<double> output = norm.forward(input, true);
    Tensor<double> gradient = norm.backward(slopes);
    EXPECT_EQ(gradient.shape(), shape);
    // A third derivative of y is some (1/deviation)³ · 15, the deviation 2, and 300 slopes of 1 act on a row of 1/300th.
    expectCentralDifferences("input", elements(input), elements(gradient),
                             differenceTolerance(15, sumOfMagnitudes(slopes, output)), [&] {
                               LayerNorm<double> again;
                               return weightedSum(slopes, again.forward(input, false));
                             });
  }
}

TEST(LayerNormTest, FloatBackwardLikeDouble) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    const Tensor<float> input = randomInput(shape);
    Random random(8);
    const Tensor<float> slopes = normalTensor<float>(random, shape);
    LayerNorm<float> inFloat;
    LayerNorm<double> inDouble;
    inFloat.forward(input, true);
    inDouble.forward(converted<double>(input), true);
    const Tensor<float> gradient = inFloat.backward(slopes);
    const Tensor<double> exact = inDouble.backward(converted<double>(slopes));
    if (shape[shape.rank() - 1] == 1) {
      // In theory and in floating point: slope - slope.
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
