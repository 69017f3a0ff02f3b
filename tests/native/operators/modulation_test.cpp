#include "operators/modulation.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::operators_modulation_test {

namespace {

using operators::GatedSum;
using operators::Modulate;

/// The number of parts of the modulation. Shift 1, scale 2 and gate 3 are used; the others must not be read
/// or written.
constexpr Index kParts = 5;
constexpr Index kShift = 1;
constexpr Index kGate = 3;

/// [batch, tokens, features]: sizes of 1, odd sizes, many tokens.
const Shape kShapes[] = {Shape{1, 1, 1}, Shape{3, 1, 37}, Shape{2, 5, 1}, Shape{3, 130, 37}};

template <class T>
struct Case {
  Tensor<T> input, branch, modulation, outputGradient, modulationGradient;

  explicit Case(const Shape& shape) {
    Random random(11);
    const auto draw = [&](const Shape& size) { return converted<T>(normalTensor<float>(random, size)); };
    input = draw(shape);
    branch = draw(shape);
    modulation = draw(Shape{shape[0], kParts, shape[2]});
    outputGradient = draw(shape);
    modulationGradient = Tensor<T>::full(modulation.shape(), T(0));
  }

  /// Returns the index in the modulation of `part` for element `i` of the input.
  Index modulationIndex(Index i, Index part) const {
    const Index features = input.shape()[2];
    const Index row = i / (input.shape()[1] * features);
    return (row * kParts + part) * features + i % features;
  }
};

struct Reference {
  std::vector<double> modulated, gated, inputGradient, branchGradient;
  /// Gradients of the whole modulation.
  std::vector<double> modulationGradient, gateGradient;

  explicit Reference(const Case<double>& testCase)
      : modulationGradient(static_cast<std::size_t>(testCase.modulation.size())),
        gateGradient(modulationGradient) {
    for (Index i = 0; i < testCase.input.size(); ++i) {
      const double x = testCase.input.data()[i];
      const double branch = testCase.branch.data()[i];
      const double gradient = testCase.outputGradient.data()[i];
      const double scale = testCase.modulation.data()[testCase.modulationIndex(i, kShift + 1)];
      const double gate = testCase.modulation.data()[testCase.modulationIndex(i, kGate)];
      modulated.push_back(x * (1 + scale) + testCase.modulation.data()[testCase.modulationIndex(i, kShift)]);
      gated.push_back(x + gate * branch);
      inputGradient.push_back(gradient * (1 + scale));
      branchGradient.push_back(gradient * gate);
      modulationGradient[static_cast<std::size_t>(testCase.modulationIndex(i, kShift))] += gradient;
      modulationGradient[static_cast<std::size_t>(testCase.modulationIndex(i, kShift + 1))] += gradient * x;
      gateGradient[static_cast<std::size_t>(testCase.modulationIndex(i, kGate))] += gradient * branch;
    }
  }
};

/// An element has three roundings of numbers below about 16.
template <class T>
double elementTolerance() {
  return 32 * static_cast<double>(std::numeric_limits<T>::epsilon());
}
/// The rounding error of a sum over n tokens is a random walk, √n · √n · ε. The factor 8 covers the largest
/// of some hundred elements.
template <class T>
double sumTolerance(const Shape& shape) {
  return 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) * static_cast<double>(shape[1] + 1);
}

template <class T>
void expectMatchesReference(const Shape& shape) {
  SCOPED_TRACE(toString(shape));
  const Case<double> exact(shape);
  const Reference expected(exact);
  Case<T> testCase(shape);
  Modulate<T> modulate(kShift);
  const Tensor<T> output = modulate.forward(testCase.input, testCase.modulation, true);
  EXPECT_EQ(output.shape(), shape);
  EXPECT_TRUE(isNear(output, expected.modulated, elementTolerance<T>()));
  EXPECT_TRUE(isNear(modulate.backward(testCase.outputGradient, testCase.modulationGradient),
                     expected.inputGradient, elementTolerance<T>()));
  EXPECT_TRUE(isNear(testCase.modulationGradient, expected.modulationGradient, sumTolerance<T>(shape)));

  Case<T> other(shape);
  GatedSum<T> sum(kGate);
  EXPECT_TRUE(isNear(sum.forward(other.input, other.branch, other.modulation, true), expected.gated,
                     elementTolerance<T>()));
  EXPECT_TRUE(isNear(sum.backward(other.outputGradient, other.modulationGradient), expected.branchGradient,
                     elementTolerance<T>()));
  EXPECT_TRUE(isNear(other.modulationGradient, expected.gateGradient, sumTolerance<T>(shape)));
}

}  // namespace

TEST(ModulationTest, ForwardAndBackwardInDouble) {
  for (const Shape& shape : kShapes) expectMatchesReference<double>(shape);
}

TEST(ModulationTest, ForwardAndBackwardInFloat) {
  for (const Shape& shape : kShapes) expectMatchesReference<float>(shape);
}

TEST(ModulationTest, GradientsMatchCentralDifferences) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    Case<double> testCase(shape);
    Modulate<double> modulate(kShift);
    GatedSum<double> sum(kGate);
    const auto forward = [&](bool training) {
      return sum.forward(testCase.input, modulate.forward(testCase.branch, testCase.modulation, training),
                         testCase.modulation, training);
    };
    const auto loss = [&] { return weightedSum(testCase.outputGradient, forward(false)); };
    const Tensor<double> output = forward(true);
    Tensor<double> branchGradient = modulate.backward(
        sum.backward(testCase.outputGradient, testCase.modulationGradient), testCase.modulationGradient);
    // The loss is linear in each element because shift, scale and gate are different elements.
    const double tolerance = differenceTolerance(0, sumOfMagnitudes(testCase.outputGradient, output));
    expectCentralDifferences("branch", elements(testCase.branch), elements(branchGradient), tolerance, loss);
    expectCentralDifferences("modulation", elements(testCase.modulation),
                             elements(testCase.modulationGradient), tolerance, loss);
    // The gradient of GatedSum's input is that of its output.
    expectCentralDifferences("input", elements(testCase.input), elements(testCase.outputGradient), tolerance,
                             loss);
  }
}

TEST(ModulationTest, AddsToTheGradientOfItsPartsOnly) {
  Case<float> testCase(kShapes[1]);
  Case<float> fromSeven(kShapes[1]);
  std::fill(fromSeven.modulationGradient.begin(), fromSeven.modulationGradient.end(), 7.0f);
  for (Case<float>* each : {&testCase, &fromSeven}) {
    Modulate<float> modulate(kShift);
    modulate.forward(each->input, each->modulation, true);
    modulate.backward(each->outputGradient, each->modulationGradient);
  }
  const Index features = testCase.input.shape()[2];
  for (Index i = 0; i < testCase.modulation.size(); ++i) {
    const Index part = i / features % kParts;
    const float added = fromSeven.modulationGradient.data()[i] - 7.0f;
    if (part == kShift || part == kShift + 1) {
      // One token: one rounding of a number of about 7, and one of the difference.
      EXPECT_NEAR(added, testCase.modulationGradient.data()[i], 2e-6);
      EXPECT_NE(added, 0.0f);
    } else {
      EXPECT_EQ(added, 0.0f) << "part " << part;
    }
  }
}

TEST(ModulationTest, SameBitsForAllThreads) {
  expectSameBitsForAllThreads([] {
    Case<float> testCase(kShapes[3]);
    Modulate<float> modulate(kShift);
    GatedSum<float> sum(kGate);
    std::vector<float> all =
        copyOf(sum.forward(testCase.input, modulate.forward(testCase.branch, testCase.modulation, true),
                           testCase.modulation, true));
    const Tensor<float> gradient = modulate.backward(
        sum.backward(testCase.outputGradient, testCase.modulationGradient), testCase.modulationGradient);
    all.insert(all.end(), gradient.begin(), gradient.end());
    all.insert(all.end(), testCase.modulationGradient.begin(), testCase.modulationGradient.end());
    return all;
  });
}

}  // namespace cross_attention::test::operators_modulation_test
