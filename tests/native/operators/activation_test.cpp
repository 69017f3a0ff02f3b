#include "operators/activation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::operators_activation_test {

namespace {

using operators::Activation;
using operators::Gelu;
using operators::Silu;

/// One element, less than a vector, and more than two tasks (16384 elements each) with a remainder.
const Shape kShapes[] = {Shape{1}, Shape{3, 1}, Shape{1, 37}, Shape{2, 130, 137}};

double reference(Silu, double x) { return x / (1 + std::exp(-x)); }
/// PyTorch's form with tanh.
double reference(Gelu, double x) {
  const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(inner));
}

Tensor<float> randomInput(const Shape& shape) {
  Random random(5);
  return normalTensor<float>(random, shape, 3);
}

/// The error of 2^x is 1.95e-7 in float (simd/exponential.hpp) and about 1e-15 in double. Its exponent is
/// rounded as well, by ε/2 of up to 100 if the sigmoid is not almost 0 or 1: |x| · sigmoid · (1 - sigmoid) ·
/// 100·ε with |x| ≤ 15.
template <class T>
double tolerance() {
  return sizeof(T) == 4 ? 1e-5 : 2e-14;
}

template <class Kind>
class ActivationTest : public testing::Test {};
using Kinds = testing::Types<Silu, Gelu>;
TYPED_TEST_SUITE(ActivationTest, Kinds);

}  // namespace

TYPED_TEST(ActivationTest, ForwardMatchesReference) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    const Tensor<float> input = randomInput(shape);
    std::vector<double> expected;
    for (const float value : input) expected.push_back(reference(TypeParam(), value));
    Activation<float, TypeParam> inFloat;
    Activation<double, TypeParam> inDouble;
    const Tensor<float> output = inFloat.forward(input, true);
    EXPECT_EQ(output.shape(), shape);
    EXPECT_TRUE(isNear(output, expected, tolerance<float>()));
    EXPECT_TRUE(isNear(inDouble.forward(converted<double>(input), true), expected, tolerance<double>()));
  }
}

TYPED_TEST(ActivationTest, BackwardMatchesCentralDifferences) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    Tensor<double> input = converted<double>(randomInput(shape));
    Random random(6);
    const Tensor<double> outputGradient = normalTensor<double>(random, shape);
    Activation<double, TypeParam> activation;
    const Tensor<double> output = activation.forward(input, true);
    Tensor<double> gradient = activation.backward(outputGradient);
    // Third derivatives are below 2, output gradients below 5.
    expectCentralDifferences("input", elements(input), elements(gradient),
                             differenceTolerance(10, sumOfMagnitudes(outputGradient, output)), [&] {
                               Activation<double, TypeParam> again;
                               return weightedSum(outputGradient, again.forward(input, false));
                             });
  }
}

TYPED_TEST(ActivationTest, FloatBackwardMatchesDouble) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    const Tensor<float> input = randomInput(shape);
    Activation<float, TypeParam> inFloat;
    Activation<double, TypeParam> inDouble;
    inFloat.forward(input, true);
    inDouble.forward(converted<double>(input), true);
    const Tensor<float> ones = Tensor<float>::full(shape, 1.0f);
    // The gradient contains the sigmoid times x · g'(x), which is at most about 20 if the sigmoid is not 0 or
    // 1.
    EXPECT_TRUE(
        isNear(inFloat.backward(ones), inDouble.backward(converted<double>(ones)), 4 * tolerance<float>()));
  }
}

TYPED_TEST(ActivationTest, IsZeroOrTheInputFarFromZero) {
  Tensor<float> input(Shape{6});
  const std::array<float, 6> far = {-1e4f, -100.0f, 100.0f, 1e4f, 0.0f, -0.0f};
  std::copy(far.begin(), far.end(), input.begin());
  Activation<float, TypeParam> activation;
  const Tensor<float> output = activation.forward(input, true);
  const Tensor<float> gradient = activation.backward(Tensor<float>::full(Shape{6}, 1.0f));
  for (Index i = 0; i < 6; ++i) {
    const float expected = std::max(0.0f, far[static_cast<std::size_t>(i)]);
    // The sigmoid is at least 2^-100. The tolerances are far above 1e4 times that, and above x·g'(x), up to
    // 1e11, times that.
    EXPECT_NEAR(output.data()[i], expected, 1e-18);
    if (expected != 0 || i < 2) {
      EXPECT_NEAR(gradient.data()[i], expected > 0 ? 1 : 0, 1e-15);
    } else {
      EXPECT_NEAR(gradient.data()[i], 0.5, 1e-6);
    }
  }
}

TYPED_TEST(ActivationTest, SameBitsForAllThreads) {
  expectSameBitsForAllThreads([] {
    Activation<float, TypeParam> activation;
    const Tensor<float> input = randomInput(kShapes[3]);
    std::vector<float> all = copyOf(activation.forward(input, true));
    const Tensor<float> gradient = activation.backward(input);
    all.insert(all.end(), gradient.begin(), gradient.end());
    return all;
  });
}

}  // namespace cross_attention::test::operators_activation_test
