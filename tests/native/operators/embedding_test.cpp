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
constexpr Index kMaxTokens = 5;
constexpr Index kTokens = 4;
constexpr Index kFeatures = 37;
/// Entry 2 four times, two of them in a row; entry 5 never.
const std::vector<std::int32_t> kIds = {1, 2, 2, 3, 0, 2, 4, 2};

template <class T>
struct Case {
  ParameterSet<T> parameters{2};
  Embedding<T> embedding{parameters, "words", kEntries, kMaxTokens, kFeatures};

  auto& table() { return *parameters.find("words.weight"); }
  auto& positions() { return *parameters.find("words.positions"); }
};

}  // namespace

TEST(EmbeddingTest, ForwardIsEntryPlusPosition) {
  Case<float> testCase;
  const Tensor<float> output = testCase.embedding.forward(kIds, kTokens, false);
  EXPECT_EQ(output.shape(), (Shape{2, kTokens, kFeatures}));
  for (Index row = 0; row < 2 * kTokens; ++row) {
    for (Index i = 0; i < kFeatures; ++i) {
      const float entry = testCase.table().values[kIds[static_cast<std::size_t>(row)] * kFeatures + i];
      const float position = testCase.positions().values[row % kTokens * kFeatures + i];
      ASSERT_EQ(output.data()[row * kFeatures + i], entry + position);
    }
  }
}

TEST(EmbeddingTest, AccumulatesGradientsOfRepeatedIds) {
  Case<double> testCase;
  testCase.embedding.forward(kIds, kTokens, true);
  Random random(4);
  const Tensor<double> outputGradient = normalTensor<double>(random, Shape{2, kTokens, kFeatures});
  testCase.embedding.backward(outputGradient);
  std::vector<double> table(static_cast<std::size_t>(kEntries * kFeatures));
  std::vector<double> positions(static_cast<std::size_t>(kMaxTokens * kFeatures));
  for (Index row = 0; row < 2 * kTokens; ++row) {
    for (Index i = 0; i < kFeatures; ++i) {
      const double gradient = outputGradient.data()[row * kFeatures + i];
      table[static_cast<std::size_t>(kIds[static_cast<std::size_t>(row)] * kFeatures + i)] += gradient;
      positions[static_cast<std::size_t>(row % kTokens * kFeatures + i)] += gradient;
    }
  }
  // The same sums in the same order.
  EXPECT_TRUE(isIdentical(copyOf(testCase.table().gradient), table));
  EXPECT_TRUE(isIdentical(copyOf(testCase.positions().gradient), positions));
  for (double& value : table) value *= 2;
  testCase.embedding.backward(outputGradient);
  // Four numbers of about 1, added twice: 8 roundings.
  EXPECT_TRUE(isNear(copyOf(testCase.table().gradient), table, 1e-14));
}

TEST(EmbeddingTest, GradientsMatchCentralDifferences) {
  Case<double> testCase;
  Random random(4);
  const Tensor<double> outputGradient = normalTensor<double>(random, Shape{2, kTokens, kFeatures});
  const Tensor<double> output = testCase.embedding.forward(kIds, kTokens, true);
  testCase.embedding.backward(outputGradient);
  const auto loss = [&] {
    Embedding<double>& embedding = testCase.embedding;
    return weightedSum(outputGradient, embedding.forward(kIds, kTokens, false));
  };
  const double tolerance = differenceTolerance(0, sumOfMagnitudes(outputGradient, output));
  for (auto& parameter : testCase.parameters) {
    expectCentralDifferences(parameter.name, elements(parameter.values), elements(parameter.gradient),
                             tolerance, loss);
  }
}

TEST(EmbeddingTest, FrozenParametersGetNoGradient) {
  for (const bool isTable : {false, true}) {
    Case<float> testCase;
    auto& frozen = isTable ? testCase.table() : testCase.positions();
    auto& other = isTable ? testCase.positions() : testCase.table();
    frozen.trainable = false;
    testCase.embedding.forward(kIds, kTokens, true);
    testCase.embedding.backward(Tensor<float>::full(Shape{2, kTokens, kFeatures}, 1.0f));
    EXPECT_EQ(largestMagnitude(copyOf(frozen.gradient)), 0);
    EXPECT_GT(largestMagnitude(copyOf(other.gradient)), 0);
  }
}

TEST(EmbeddingTest, NewEntryIsACopyOfItsModel) {
  Case<float> testCase;
  const std::vector<float> before = copyOf(testCase.table().values);
  const Tensor<float> output = testCase.embedding.forward(kIds, kTokens, false);
  testCase.table().gradient[3] = 1;
  testCase.embedding.addEntry(4);
  EXPECT_EQ(testCase.table().shape, (Shape{kEntries + 1, kFeatures}));
  EXPECT_EQ(testCase.table().values.size(), (kEntries + 1) * kFeatures);
  std::vector<float> expected = before;
  expected.insert(expected.end(), before.begin() + 4 * kFeatures, before.begin() + 5 * kFeatures);
  EXPECT_TRUE(isIdentical(copyOf(testCase.table().values), expected));
  EXPECT_TRUE(isIdentical(copyOf(testCase.table().gradient), std::vector<float>(expected.size())));
  EXPECT_TRUE(isIdentical(testCase.embedding.forward(kIds, kTokens, false), output));
  // The new entry equals its model and is trained separately.
  const std::vector<std::int32_t> fresh = {6};
  const std::vector<std::int32_t> model = {4};
  EXPECT_TRUE(
      isIdentical(testCase.embedding.forward(fresh, 1, false), testCase.embedding.forward(model, 1, false)));
  testCase.embedding.forward(fresh, 1, true);
  testCase.embedding.backward(Tensor<float>::full(Shape{1, 1, kFeatures}, 1.0f));
  EXPECT_EQ(testCase.table().gradient[4 * kFeatures], 0.0f);
  EXPECT_EQ(testCase.table().gradient[6 * kFeatures], 1.0f);
}

TEST(EmbeddingTest, FloatMatchesDouble) {
  Case<float> inFloat;
  Case<double> inDouble;
  // The same random numbers, rounded to float. Their sum is rounded as well: two roundings of numbers below
  // 4.
  EXPECT_TRUE(isNear(inFloat.embedding.forward(kIds, kTokens, false),
                     inDouble.embedding.forward(kIds, kTokens, false), 1e-6));
}

}  // namespace cross_attention::test::operators_embedding_test
