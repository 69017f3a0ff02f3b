#include "operators/convolution.hpp"

#include <gtest/gtest.h>

#include "support/central_differences.hpp"

namespace cross_attention::test::operators_convolution_test {

namespace {

using operators::Convolution;
using operators::Initial;
using operators::ParameterSet;

constexpr Index kBatch = 2;
/// The maximum number of elements of a gradient that are checked.
constexpr Index kMaxElements = 400;

struct Sizes {
  Index side, in, out;
};
/// Full and partial tiles, in pixels and in features; RGB input and output; several tasks, the last one
/// smaller.
constexpr std::array kSizes{Sizes{1, 1, 1}, Sizes{2, 3, 16}, Sizes{5, 7, 37}, Sizes{8, 16, 3},
                            Sizes{20, 3, 7}};

template <class T>
void randomize(Random& random, ParameterSet<T>& parameters) {
  for (auto& parameter : parameters) {
    for (T& value : parameter.values) value = static_cast<T>(random.normal());
  }
}

/// Returns y[r, c, o] by the definition, in double.
template <class T>
double expected(const Tensor<T>& x, const Buffer<T>& weight, Sizes sizes, Index row, Index r, Index c,
                Index o) {
  double sum = 0;
  for (Index tap = 0; tap < 9; ++tap) {
    const Index y = r + tap / 3 - 1;
    const Index z = c + tap % 3 - 1;
    if (y < 0 || y >= sizes.side || z < 0 || z >= sizes.side) continue;
    for (Index i = 0; i < sizes.in; ++i) {
      sum += double{weight[(tap * sizes.in + i) * sizes.out + o]} *
             double{x.data()[((row * sizes.side + y) * sizes.side + z) * sizes.in + i]};
    }
  }
  return sum;
}

TEST(ConvolutionTest, MatchesItsDefinition) {
  for (const Sizes sizes : kSizes) {
    ParameterSet<float> parameters(1);
    Convolution<float> convolution(parameters, "in", sizes.side, sizes.in, sizes.out);
    Random random(3);
    randomize(random, parameters);
    const auto x = normalTensor<float>(random, Shape{kBatch, sizes.side * sizes.side, sizes.in});
    const Tensor<float> y = convolution.forward(x, false);
    ASSERT_EQ(y.shape(), (Shape{kBatch, sizes.side * sizes.side, sizes.out}));
    for (Index i = 0; i < y.size(); ++i) {
      const Index pixel = i / sizes.out % (sizes.side * sizes.side);
      const double exact =
          expected(x, parameters.begin()->values, sizes, i / (sizes.out * sizes.side * sizes.side),
                   pixel / sizes.side, pixel % sizes.side, i % sizes.out);
      // At most 144 products of two normal numbers, each below 10, and as many partial sums, each below 200.
      EXPECT_NEAR(y.data()[i], exact, 2 * 144 * 200 * 0x1p-24) << sizes.side << " " << i;
    }
  }
}

TEST(ConvolutionTest, GradientsMatchCentralDifferences) {
  for (const Sizes sizes : kSizes) {
    ParameterSet<double> parameters(1);
    Convolution<double> convolution(parameters, "in", sizes.side, sizes.in, sizes.out);
    Random random(4);
    randomize(random, parameters);
    auto x = normalTensor<double>(random, Shape{kBatch, sizes.side * sizes.side, sizes.in});
    const auto outputGradient =
        normalTensor<double>(random, Shape{kBatch, sizes.side * sizes.side, sizes.out});
    const auto loss = [&] { return weightedSum(outputGradient, convolution.forward(x, false)); };
    // The loss is linear in each number, so there is no truncation error.
    const double tolerance =
        differenceTolerance(0, sumOfMagnitudes(outputGradient, convolution.forward(x, false)));
    convolution.forward(x, true);
    const Tensor<double> gradient = convolution.backward(outputGradient);
    expectCentralDifferences("x", elements(x), copyOf(gradient), tolerance, loss, kMaxElements);
    auto& parameter = *parameters.begin();
    expectCentralDifferences("weight", elements(parameter.values), copyOf(parameter.gradient), tolerance,
                             loss, kMaxElements);
  }
}

TEST(ConvolutionTest, FrozenWeightGetsNoGradient) {
  ParameterSet<float> parameters(1);
  Convolution<float> convolution(parameters, "in", 2, 3, 3);
  parameters.setTrainable(false);
  const auto x = Tensor<float>::full(Shape{1, 4, 3}, 1);
  convolution.forward(x, true);
  convolution.backward(x);
  for (const float value : parameters.begin()->gradient) EXPECT_EQ(value, 0);
}

}  // namespace

}  // namespace cross_attention::test::operators_convolution_test
