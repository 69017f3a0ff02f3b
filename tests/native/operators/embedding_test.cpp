#include "operators/embedding.hpp"

#include <gtest/gtest.h>

#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::operators_embedding_test {

namespace {

using operators::Embedding;
using operators::ParameterSet;

constexpr Index kEntries = 6;
constexpr Index kMostTokens = 5;
constexpr Index kTokens = 4;
constexpr Index kFeatures = 37;
/// Entry 2 four times, twice in a row; entry 5 never.
const std::vector<std::int32_t> kIds = {1, 2, 2, 3, 0, 2, 4, 2};

template <class T>
struct Case {
  ParameterSet<T> parameters{2};
  Embedding<T> embedding{parameters, "words", kEntries, kMostTokens, kFeatures};

  auto& table() { return *parameters.find("words.weight"); }
  auto& positions() { return *parameters.find("words.positions"); }
};

}  // namespace

TEST(EmbeddingTest, ForwardIsEntryPlusPosition) {
  Case<float> one;
  const Tensor<float> output = one.embedding.forward(kIds, kTokens, false);
  EXPECT_EQ(output.shape(), (Shape{2, kTokens, kFeatures}));
  for (Index row = 0; row < 2 * kTokens; ++row) {
    for (Index i = 0; i < kFeatures; ++i) {
      const float entry = one.table().values[kIds[static_cast<std::size_t>(row)] * kFeatures + i];
      const float position = one.positions().values[row % kTokens * kFeatures + i];
      ASSERT_EQ(output.data()[row * kFeatures + i], entry + position);
    }
  }
}

TEST(EmbeddingTest, RepeatedIdsAddUp) {
  Case<double> one;
  one.embedding.forward(kIds, kTokens, true);
  Random random(4);
  const Tensor<double> slopes = normalTensor<double>(random, Shape{2, kTokens, kFeatures});
  one.embedding.backward(slopes);
  std::vector<double> table(static_cast<std::size_t>(kEntries * kFeatures));
  std::vector<double> positions(static_cast<std::size_t>(kMostTokens * kFeatures));
  for (Index row = 0; row < 2 * kTokens; ++row) {
    for (Index i = 0; i < kFeatures; ++i) {
      const double slope = slopes.data()[row * kFeatures + i];
      table[static_cast<std::size_t>(kIds[static_cast<std::size_t>(row)] * kFeatures + i)] += slope;
      positions[static_cast<std::size_t>(row % kTokens * kFeatures + i)] += slope;
    }
  }
  // The same sums in the same order.
  EXPECT_TRUE(isIdentical(copyOf(one.table().gradient), table));
  EXPECT_TRUE(isIdentical(copyOf(one.positions().gradient), positions));
  for (double& value : table) value *= 2;
  one.embedding.backward(slopes);
  // Four numbers of 1 or so, added once more: 8 roundings.
  EXPECT_TRUE(isNear(copyOf(one.table().gradient), table, 1e-14));
}

TEST(EmbeddingTest, GradientsLikeCentralDifferences) {
  Case<double> one;
  Random random(4);
  const Tensor<double> slopes = normalTensor<double>(random, Shape{2, kTokens, kFeatures});
  const Tensor<double> output = one.embedding.forward(kIds, kTokens, true);
  one.embedding.backward(slopes);
  const auto loss = [&] {
    Embedding<double>& embedding = one.embedding;
    return weightedSum(slopes, embedding.forward(kIds, kTokens, false));
  };
  const double tolerance = differenceTolerance(0, sumOfMagnitudes(slopes, output));
  for (auto& parameter : one.parameters) {
    expectCentralDifferences(parameter.name, elements(parameter.values),
                             elements(parameter.gradient), tolerance, loss);
  }
}

TEST(EmbeddingTest, WhatIsNotTrainableKeepsItsGradient) {
  for (const bool isTable : {false, true}) {
    Case<float> one;
    auto& frozen = isTable ? one.table() : one.positions();
    auto& other = isTable ? one.positions() : one.table();
    frozen.trainable = false;
    one.embedding.forward(kIds, kTokens, true);
    one.embedding.backward(Tensor<float>::full(Shape{2, kTokens, kFeatures}, 1.0f));
    EXPECT_EQ(largestMagnitude(copyOf(frozen.gradient)), 0);
    EXPECT_GT(largestMagnitude(copyOf(other.gradient)), 0);
  }
}

TEST(EmbeddingTest, AnEntryMoreIsAlikeToItsModel) {
  Case<float> one;
  const std::vector<float> before = copyOf(one.table().values);
  const Tensor<float> output = one.embedding.forward(kIds, kTokens, false);
  one.table().gradient[3] = 1;
  one.embedding.addEntry(4);
  EXPECT_EQ(one.table().shape, (Shape{kEntries + 1, kFeatures}));
  EXPECT_EQ(one.table().values.size(), (kEntries + 1) * kFeatures);
  std::vector<float> expected = before;
  expected.insert(expected.end(), before.begin() + 4 * kFeatures, before.begin() + 5 * kFeatures);
  EXPECT_TRUE(isIdentical(copyOf(one.table().values), expected));
  EXPECT_TRUE(isIdentical(copyOf(one.table().gradient), std::vector<float>(expected.size())));
  EXPECT_TRUE(isIdentical(one.embedding.forward(kIds, kTokens, false), output));
  // The new one is another one's equal, and trained by itself.
  const std::vector<std::int32_t> fresh = {6};
  const std::vector<std::int32_t> model = {4};
  EXPECT_TRUE(
      isIdentical(one.embedding.forward(fresh, 1, false), one.embedding.forward(model, 1, false)));
  one.embedding.forward(fresh, 1, true);
  one.embedding.backward(Tensor<float>::full(Shape{1, 1, kFeatures}, 1.0f));
  EXPECT_EQ(one.table().gradient[4 * kFeatures], 0.0f);
  EXPECT_EQ(one.table().gradient[6 * kFeatures], 1.0f);
}

TEST(EmbeddingTest, FloatLikeDouble) {
  Case<float> inFloat;
  Case<double> inDouble;
  // The same random numbers, rounded; their sum is rounded once more: two roundings of numbers below 4.
  EXPECT_TRUE(isNear(inFloat.embedding.forward(kIds, kTokens, false),
                     inDouble.embedding.forward(kIds, kTokens, false), 1e-6));
}

}  // namespace cross_attention::test::operators_embedding_test
