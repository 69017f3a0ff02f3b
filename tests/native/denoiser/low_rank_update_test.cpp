#include <gtest/gtest.h>

#include "denoiser/attention.hpp"
#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::denoiser_low_rank_update_test {

namespace {

using denoiser::Attention;
using operators::Initial;
using operators::Parameter;
using operators::ParameterSet;

constexpr Index kFeatures = 12;
constexpr Index kWordFeatures = 5;
constexpr Index kRank = 3;

/// An attention to words, and random updates of all its weights.
template <class T>
struct Case {
  ParameterSet<T> parameters{4};
  Attention<T> attention{parameters, "attn", kFeatures, kWordFeatures, 2};
  ParameterSet<T> updateParameters{6};
  typename Attention<T>::Updates updates{};
  Tensor<T> tokens, context, outputGradient;

  explicit Case(Initial up = Initial::normal(0.3)) {
    for (std::size_t index = 0; index < Attention<T>::kWeights; ++index) {
      const Shape& shape = attention.parameter(index).shape;
      const std::string name = attention.parameter(index).name;
      updates[index].down = &updateParameters.add(name + ".A", {kRank, shape[1]}, Initial::normal(0.3));
      updates[index].up = &updateParameters.add(name + ".B", {shape[0], kRank}, up);
      // Another scale each: taking one weight's for all would be seen.
      updates[index].scale = static_cast<T>(0.5 + 0.25 * static_cast<double>(index));
    }
    Random random(5);
    tokens = normalTensor<T>(random, Shape{2, 7, kFeatures});
    context = normalTensor<T>(random, Shape{2, 4, kWordFeatures});
    outputGradient = normalTensor<T>(random, tokens.shape());
  }

  Tensor<T> forward(bool keep = false) { return attention.forward(tokens, &context, {}, keep); }
  /// W ← W + scale·B·A in the set itself.
  void merge() {
    for (const auto& update : updates) {
      const std::string name = update.down->name.substr(0, update.down->name.size() - 2);
      Parameter<T>& weight = *parameters.find(name);
      for (Index row = 0; row < weight.shape[0]; ++row) {
        for (Index column = 0; column < weight.shape[1]; ++column) {
          T sum = 0;
          for (Index r = 0; r < kRank; ++r) {
            sum += update.up->values[row * kRank + r] * update.down->values[r * weight.shape[1] + column];
          }
          weight.values[row * weight.shape[1] + column] += update.scale * sum;
        }
      }
    }
    parameters.touch();
  }
};

}  // namespace

TEST(LowRankUpdateTest, ForwardIsThatOfTheMergedWeights) {
  Case<double> one;
  const Tensor<double> without = one.forward();
  one.attention.setUpdates(&one.updates);
  const Tensor<double> with = one.forward();
  const Tensor<double> probabilities = one.attention.probabilities(one.tokens, &one.context, {});
  const Tensor<double> given = one.attention.forwardWith(probabilities, one.tokens, &one.context);
  one.attention.setUpdates(nullptr);
  EXPECT_TRUE(isIdentical(one.forward(), without));
  one.merge();
  // The products of three are added in another order: some ε of weights of 1, through sums of 12.
  EXPECT_TRUE(isNear(with, one.forward(), 1e-12));
  EXPECT_TRUE(isNear(given, one.forward(), 1e-12));
  EXPECT_TRUE(isNear(probabilities, one.attention.probabilities(one.tokens, &one.context, {}), 1e-12));
  EXPECT_FALSE(isNear(with, without, 0.1));
}

TEST(LowRankUpdateTest, NewOnesChangeNothing) {
  Case<float> one(Initial::zero());
  const Tensor<float> without = one.forward();
  one.attention.setUpdates(&one.updates);
  EXPECT_TRUE(isIdentical(one.forward(), without));
}

TEST(LowRankUpdateTest, GradientsLikeCentralDifferences) {
  Case<double> one;
  one.attention.setUpdates(&one.updates);
  // What an update learns from does not depend on whether its weight learns.
  one.parameters.setTrainable(false);
  const Tensor<double> output = one.forward(true);
  Tensor<double> contextGradient = Tensor<double>::zeros(one.context.shape());
  Tensor<double> inputGradient = one.attention.backward(one.outputGradient, &contextGradient);
  const auto loss = [&] {
    one.parameters.touch();
    return weightedSum(one.outputGradient, one.forward());
  };
  // Third derivatives by queries and keys: a softmax's, below 1, of scores that move by products of some 3 and values of
  // some 3, 14 tokens added up: 1000 at most. The loss goes through four products and a softmax: ten times the rounding.
  const double tolerance = differenceTolerance(1000, 10 * sumOfMagnitudes(one.outputGradient, output));
  for (auto& parameter : one.updateParameters) {
    EXPECT_GT(largestMagnitude(copyOf(parameter.gradient)), 1000 * tolerance) << parameter.name;
    expectCentralDifferences(parameter.name, elements(parameter.values), elements(parameter.gradient),
                             tolerance, loss);
  }
  expectCentralDifferences("tokens", elements(one.tokens), elements(inputGradient), tolerance, loss);
  expectCentralDifferences("context", elements(one.context), elements(contextGradient), tolerance, loss);
  for (const auto& parameter : one.parameters) {
    EXPECT_EQ(largestMagnitude(copyOf(parameter.gradient)), 0) << parameter.name;
  }
}

TEST(LowRankUpdateTest, WeightsLearnBesideTheirUpdates) {
  Case<double> one;
  one.attention.setUpdates(&one.updates);
  one.forward(true);
  one.attention.backward(one.outputGradient, nullptr);
  Case<double> merged;
  merged.merge();
  merged.forward(true);
  merged.attention.backward(merged.outputGradient, nullptr);
  auto expected = merged.parameters.begin();
  for (const auto& parameter : one.parameters) {
    // d(W + s·B·A)/dW is the identity; the merged weights differ by rounding.
    EXPECT_TRUE(isNear(copyOf(parameter.gradient), copyOf((expected++)->gradient), 1e-11));
  }
}

}  // namespace cross_attention::test::denoiser_low_rank_update_test
