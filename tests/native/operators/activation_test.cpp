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

/// One, less than a vector, and more than two tasks (16384 elements each) and a rest.
const Shape kShapes[] = {Shape{1}, Shape{3, 1}, Shape{1, 37}, Shape{2, 130, 137}};

double reference(Silu, double x) { return x / (1 + std::exp(-x)); }
/// As PyTorch writes it, with tanh.
double reference(Gelu, double x) {
  const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(inner));
}

Tensor<float> randomInput(const Shape& shape) {
  Random random(5);
  return normalTensor<float>(random, shape, 3);
}

/// 2^x is exact to 1.95e-7 in float (simd/exponential.hpp), to some 1e-15 in double, of an exponent that is rounded itself,
/// by ε/2 of up to 100 where the sigmoid is not all but 0 or 1: |x| · sigmoid · (1 - sigmoid) · 100·ε, and |x| ≤ 15.
template <class T>
double tolerance() {
  return sizeof(T) == 4 ? 1e-5 : 2e-14;
}

template <class Kind>
class ActivationTest : public testing::Test {};
using Kinds = testing::Types<Silu, Gelu>;
TYPED_TEST_SUITE(ActivationTest, Kinds);

}  // namespace

TYPED_TEST(ActivationTest, ForwardLikeReference) {
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
    EXPECT_TRUE(
        isNear(inDouble.forward(converted<double>(input), true), expected, tolerance<double>()));
  }
}

TYPED_TEST(ActivationTest, BackwardLikeCentralDifferences) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    Tensor<double> input = converted<double>(randomInput(shape));
    Random random(6);
    const Tensor<double> slopes = normalTensor<double>(random, shape);
    Activation<double, TypeParam> activation;
    const Tensor<double> output = activation.forward(input, true);
    Tensor<double> gradient = activation.backward(slopes);
    // Third derivatives are below 2, slopes below 5.
    expectCentralDifferences("input", elements(input), elements(gradient),
                             differenceTolerance(10, sumOfMagnitudes(slopes, output)), [&] {
                               Activation<double, TypeParam> again;
                               return weightedSum(slopes, again.forward(input, false));
                             });
  }
}

TYPED_TEST(ActivationTest, FloatBackwardLikeDouble) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    const Tensor<float> input = randomInput(shape);
    Activation<float, TypeParam> inFloat;
    Activation<double, TypeParam> inDouble;
    inFloat.forward(input, true);
    inDouble.forward(converted<double>(input), true);
    const Tensor<float> ones = Tensor<float>::full(shape, 1.0f);
    // The slope takes the sigmoid times x · g'(x), which is at most some 20 where the sigmoid is not 0 or 1.
    EXPECT_TRUE(isNear(inFloat.backward(ones), inDouble.backward(converted<double>(ones)),
                       4 * tolerance<float>()));
  }
}

TYPED_TEST(ActivationTest, FarFromZeroItIsZeroOrTheInput) {
  Tensor<float> input(Shape{6});
  const std::array<float, 6> far = {-1e4f, -100.0f, 100.0f, 1e4f, 0.0f, -0.0f};
  std::copy(far.begin(), far.end(), input.begin());
  Activation<float, TypeParam> activation;
  const Tensor<float> output = activation.forward(input, true);
  const Tensor<float> slope = activation.backward(Tensor<float>::full(Shape{6}, 1.0f));
  for (Index i = 0; i < 6; ++i) {
    const float wanted = std::max(0.0f, far[static_cast<std::size_t>(i)]);
    // The sigmoid stops at 2^-100: 1e4 of it, and of x·g'(x), which is up to 1e11, are far below.
    EXPECT_NEAR(output.data()[i], wanted, 1e-18);
    if (wanted != 0 || i < 2) {
      EXPECT_NEAR(slope.data()[i], wanted > 0 ? 1 : 0, 1e-15);
    } else {
      EXPECT_NEAR(slope.data()[i], 0.5, 1e-6);
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
