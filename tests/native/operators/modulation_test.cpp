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

/// Parts of the modulation, of which shift 1, scale 2 and gate 3 are used: the others must not be read or written.
constexpr Index kParts = 5;
constexpr Index kShift = 1;
constexpr Index kGate = 3;

/// [batch, tokens, features]: one of each, odd ones, many tokens.
const Shape kShapes[] = {Shape{1, 1, 1}, Shape{3, 1, 37}, Shape{2, 5, 1}, Shape{3, 130, 37}};

template <class T>
struct Case {
  Tensor<T> input, branch, modulation, slopes, modulationGradient;

  explicit Case(const Shape& shape) {
    Random random(11);
    const auto draw = [&](const Shape& size) {
      return converted<T>(normalTensor<float>(random, size));
    };
    input = draw(shape);
    branch = draw(shape);
    modulation = draw(Shape{shape[0], kParts, shape[2]});
    slopes = draw(shape);
    modulationGradient = Tensor<T>::full(modulation.shape(), T(0));
  }

  /// Of the modulation of the token that element `i` of the input belongs to.
  Index place(Index i, Index part) const {
    const Index features = input.shape()[2];
    const Index row = i / (input.shape()[1] * features);
    return (row * kParts + part) * features + i % features;
  }
};

struct Reference {
  std::vector<double> modulated, gated, inputGradient, branchGradient;
  std::vector<double> modulationGradient, gateGradient;  ///< of the whole modulation

  explicit Reference(const Case<double>& one)
      : modulationGradient(static_cast<std::size_t>(one.modulation.size())),
        gateGradient(modulationGradient) {
    for (Index i = 0; i < one.input.size(); ++i) {
      const double x = one.input.data()[i];
      const double branch = one.branch.data()[i];
      const double slope = one.slopes.data()[i];
      const double scale = one.modulation.data()[one.place(i, kShift + 1)];
      const double gate = one.modulation.data()[one.place(i, kGate)];
      modulated.push_back(x * (1 + scale) + one.modulation.data()[one.place(i, kShift)]);
      gated.push_back(x + gate * branch);
      inputGradient.push_back(slope * (1 + scale));
      branchGradient.push_back(slope * gate);
      modulationGradient[static_cast<std::size_t>(one.place(i, kShift))] += slope;
      modulationGradient[static_cast<std::size_t>(one.place(i, kShift + 1))] += slope * x;
      gateGradient[static_cast<std::size_t>(one.place(i, kGate))] += slope * branch;
    }
  }
};

/// An element takes three roundings of numbers below 16 or so.
template <class T>
double elementTolerance() {
  return 32 * static_cast<double>(std::numeric_limits<T>::epsilon());
}
/// A sum over n tokens has a random walk's rounding of √n · √n · ε; 8 covers the largest of some hundred.
template <class T>
double sumTolerance(const Shape& shape) {
  return 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) *
         static_cast<double>(shape[1] + 1);
}

template <class T>
void expectLikeReference(const Shape& shape) {
  SCOPED_TRACE(toString(shape));
  const Case<double> exact(shape);
  const Reference expected(exact);
  Case<T> one(shape);
  Modulate<T> modulate(kShift);
  const Tensor<T> output = modulate.forward(one.input, one.modulation, true);
  EXPECT_EQ(output.shape(), shape);
  EXPECT_TRUE(isNear(output, expected.modulated, elementTolerance<T>()));
  EXPECT_TRUE(isNear(modulate.backward(one.slopes, one.modulationGradient), expected.inputGradient,
                     elementTolerance<T>()));
  EXPECT_TRUE(isNear(one.modulationGradient, expected.modulationGradient, sumTolerance<T>(shape)));

  Case<T> other(shape);
  GatedSum<T> sum(kGate);
  EXPECT_TRUE(isNear(sum.forward(other.input, other.branch, other.modulation, true), expected.gated,
                     elementTolerance<T>()));
  EXPECT_TRUE(isNear(sum.backward(other.slopes, other.modulationGradient), expected.branchGradient,
                     elementTolerance<T>()));
  EXPECT_TRUE(isNear(other.modulationGradient, expected.gateGradient, sumTolerance<T>(shape)));
}

}  // namespace

TEST(ModulationTest, ForwardAndBackwardInDouble) {
  for (const Shape& shape : kShapes) expectLikeReference<double>(shape);
}

TEST(ModulationTest, ForwardAndBackwardInFloat) {
  for (const Shape& shape : kShapes) expectLikeReference<float>(shape);
}

TEST(ModulationTest, GradientsLikeCentralDifferences) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(toString(shape));
    Case<double> one(shape);
    Modulate<double> modulate(kShift);
    GatedSum<double> sum(kGate);
    const auto forward = [&](bool keep) {
      return sum.forward(one.input, modulate.forward(one.branch, one.modulation, keep),
                         one.modulation, keep);
    };
    const auto loss = [&] { return weightedSum(one.slopes, forward(false)); };
    const Tensor<double> output = forward(true);
    Tensor<double> branchGradient =
        modulate.backward(sum.backward(one.slopes, one.modulationGradient), one.modulationGradient);
    // Linear in each element: shift, scale and gate are others.
    const double tolerance = differenceTolerance(0, sumOfMagnitudes(one.slopes, output));
    expectCentralDifferences("branch", elements(one.branch), elements(branchGradient), tolerance,
                             loss);
    expectCentralDifferences("modulation", elements(one.modulation),
                             elements(one.modulationGradient), tolerance, loss);
    // What GatedSum says of its input's gradient: it is the output's.
    expectCentralDifferences("input", elements(one.input), elements(one.slopes), tolerance, loss);
  }
}

TEST(ModulationTest, AddsToTheGradientOfItsOwnPartsOnly) {
  Case<float> one(kShapes[1]);
  Case<float> fromSeven(kShapes[1]);
  std::fill(fromSeven.modulationGradient.begin(), fromSeven.modulationGradient.end(), 7.0f);
  for (Case<float>* each : {&one, &fromSeven}) {
    Modulate<float> modulate(kShift);
    modulate.forward(each->input, each->modulation, true);
    modulate.backward(each->slopes, each->modulationGradient);
  }
  const Index features = one.input.shape()[2];
  for (Index i = 0; i < one.modulation.size(); ++i) {
    const Index part = i / features % kParts;
    const float added = fromSeven.modulationGradient.data()[i] - 7.0f;
    if (part == kShift || part == kShift + 1) {
      // One token: one rounding of a number of 7 or so, and one of the difference.
      EXPECT_NEAR(added, one.modulationGradient.data()[i], 2e-6);
      EXPECT_NE(added, 0.0f);
    } else {
      EXPECT_EQ(added, 0.0f) << "part " << part;
    }
  }
}

TEST(ModulationTest, SameBitsForAllThreads) {
  expectSameBitsForAllThreads([] {
    Case<float> one(kShapes[3]);
    Modulate<float> modulate(kShift);
    GatedSum<float> sum(kGate);
    std::vector<float> all = copyOf(sum.forward(
        one.input, modulate.forward(one.branch, one.modulation, true), one.modulation, true));
    const Tensor<float> gradient =
        modulate.backward(sum.backward(one.slopes, one.modulationGradient), one.modulationGradient);
    all.insert(all.end(), gradient.begin(), gradient.end());
    all.insert(all.end(), one.modulationGradient.begin(), one.modulationGradient.end());
    return all;
  });
}

}  // namespace cross_attention::test::operators_modulation_test
