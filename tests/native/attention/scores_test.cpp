#include "attention/scores.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/comparison.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::attention_scores_test {

namespace {

using namespace attention;
using linalg::kTileColumns;

template <class T>
std::vector<T> tokens(T value) {
  return std::vector<T>(static_cast<std::size_t>(kTileColumns<T>), value);
}

/// Returns one panel with a row per key. All tokens of a row have the same value.
template <class T>
std::vector<T> panelOf(const std::vector<T>& keys) {
  std::vector<T> panel;
  for (const T key : keys) panel.insert(panel.end(), tokens<T>(0).size(), key);
  return panel;
}

/// The softmax of a panel, computed with a running maximum and sum over blocks of keys.
template <class T>
struct Softmax {
  std::vector<T> probabilities;
  std::vector<T> logSumExp = tokens<T>(0);

  Softmax(std::vector<T> scores, Index keys, Index block) {
    std::vector<T> maximum = tokens<T>(0), sum = tokens<T>(0), factors = tokens<T>(0);
    const RunningSoftmax<T> running{maximum.data(), sum.data()};
    running.begin();
    for (Index key = 0; key < keys; key += block) {
      T* rows = scores.data() + key * kTileColumns<T>;
      const bool corrects = running.add(rows, std::min(block, keys - key), factors.data());
      // add returns whether the earlier rows must be rescaled.
      const bool anyIsNotOne =
          std::any_of(factors.begin(), factors.end(), [](T factor) { return factor != T(1); });
      EXPECT_EQ(corrects, anyIsNotOne);
      if (corrects) scaleTokens(scores.data(), key, factors.data());
    }
    running.inverseSum(factors.data());
    scaleTokens(scores.data(), keys, factors.data());
    running.logSumExp(logSumExp.data());
    probabilities = scores;
  }
};

}  // namespace

template <class T>
class ScoresTest : public testing::Test {
 protected:
  using Limits = std::numeric_limits<T>;
  static constexpr T kLowest = Limits::lowest();
  static constexpr T kHighest = Limits::max();
  static constexpr T kInfinity = Limits::infinity();
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(ScoresTest, Formats);

TYPED_TEST(ScoresTest, BaseTwoOfFiniteValueIsFinite) {
  using T = TypeParam;
  EXPECT_EQ(toBaseTwo(T(0)), T(0));
  EXPECT_EQ(toBaseTwo(T(-1)), static_cast<T>(-kLog2E));
  EXPECT_EQ(toBaseTwo(this->kLowest), this->kLowest);
  EXPECT_EQ(toBaseTwo(this->kHighest), this->kHighest);
  EXPECT_EQ(toBaseTwo(this->kLowest / T(1.2)), this->kLowest);
  EXPECT_EQ(toBaseTwo(this->kLowest / 2), this->kLowest / 2 * static_cast<T>(kLog2E));
  EXPECT_EQ(toBaseTwo(-this->kInfinity), -this->kInfinity);
  EXPECT_EQ(toBaseTwo(this->kInfinity), this->kInfinity);
  EXPECT_TRUE(std::isnan(toBaseTwo(std::numeric_limits<T>::quiet_NaN())));
}

TYPED_TEST(ScoresTest, AddsMaskToItsTokensOnly) {
  using T = TypeParam;
  constexpr Index kTokens = kTileColumns<T> - 1;
  Random random(41);
  const std::vector<T> values = normalValues<T>(random, 3 * kTokens * 9);
  for (const Index tokenStride : {Index(0), Index(9)}) {
    std::vector<T> scores = panelOf<T>({1, 2, 3, 4});
    const HeadMask<T> mask{values.data(), tokenStride};
    addMask(mask.fromHead(1, kTokens * 9), 2, kTokens, 4, scores.data());
    for (Index key = 0; key < 4; ++key) {
      for (Index token = 0; token < kTileColumns<T>; ++token) {
        const T bias = values[static_cast<std::size_t>(kTokens * 9 +
                                                       std::min(token, kTokens - 1) * tokenStride + 2 + key)];
        const T plain = static_cast<T>(key + 1);
        ASSERT_EQ(scores[static_cast<std::size_t>(key * kTileColumns<T> + token)],
                  token < kTokens ? plain + toBaseTwo(bias) : plain);
      }
    }
  }
  std::vector<T> scores = panelOf<T>({1, 2});
  addMask(HeadMask<T>{}.fromHead(3, 7).fromToken(5), 0, kTokens, 2, scores.data());
  EXPECT_EQ(scores, panelOf<T>({1, 2}));
}

TYPED_TEST(ScoresTest, ExtremeRows) {
  using T = TypeParam;
  const T lowest = this->kLowest;
  const T highest = this->kHighest;
  const T ignored = -this->kInfinity;
  struct Row {
    std::vector<T> mask, expected;
  };
  const std::vector<Row> rows = {
      {{lowest, lowest, lowest, lowest}, {0.25, 0.25, 0.25, 0.25}},
      {{ignored, ignored, ignored, ignored}, {0, 0, 0, 0}},
      {{highest, highest, highest, highest}, {0.25, 0.25, 0.25, 0.25}},
      {{0, highest, 0, highest}, {0, 0.5, 0, 0.5}},
      {{lowest, 0, 0, lowest}, {0, 0.5, 0.5, 0}},
      {{lowest, ignored, ignored, lowest}, {0.5, 0, 0, 0.5}},
      {{ignored, lowest, highest, 0}, {0, 0, 1, 0}},
      {{ignored, ignored, 0, ignored}, {0, 0, 1, 0}},
  };
  for (const T score : {T(0), T(50), T(-1e4)}) {
    for (std::size_t index = 0; index < rows.size(); ++index) {
      for (const Index block : {1, 2, 4}) {
        SCOPED_TRACE("row " + std::to_string(index) + ", score " + std::to_string(score) +
                     ", keys at a time " + std::to_string(block));
        std::vector<T> scores(4 * tokens<T>(0).size(), score);
        addMask(HeadMask<T>{rows[index].mask.data(), 0}, 0, kTileColumns<T>, 4, scores.data());
        const Softmax<T> softmax(scores, 4, block);
        EXPECT_EQ(softmax.probabilities, panelOf(rows[index].expected));
        // As in the backward pass: probabilities from log-sum-exp, divided by their sum.
        toProbabilities(scores.data(), 4, softmax.logSumExp.data());
        ASSERT_TRUE(isFinite(scores));
        std::vector<T> sums = tokens<T>(0);
        for (Index element = 0; element < 4 * kTileColumns<T>; ++element) {
          sums[static_cast<std::size_t>(element % kTileColumns<T>)] +=
              scores[static_cast<std::size_t>(element)];
        }
        invertSums(sums.data(), sums.data());
        scaleTokens(scores.data(), 4, sums.data());
        EXPECT_TRUE(isNear(scores, panelOf(rows[index].expected), 4 * std::numeric_limits<T>::epsilon()));
      }
    }
  }
}

TYPED_TEST(ScoresTest, LogSumExpWithoutKeysIsMinusInfinity) {
  using T = TypeParam;
  const Softmax<T> softmax({}, 0, 1);
  EXPECT_EQ(softmax.logSumExp, tokens<T>(-this->kInfinity));
}

TYPED_TEST(ScoresTest, NaNAffectsItsTokenOnly) {
  using T = TypeParam;
  std::vector<T> scores = panelOf<T>({0, 0, 0});
  scores[static_cast<std::size_t>(kTileColumns<T> + 1)] = std::numeric_limits<T>::quiet_NaN();
  const Softmax<T> softmax(scores, 3, 3);
  for (std::size_t element = 0; element < scores.size(); ++element) {
    const T value = softmax.probabilities[element];
    if (element % tokens<T>(0).size() == 1) {
      EXPECT_TRUE(std::isnan(value)) << element;
    } else {
      EXPECT_NEAR(value, T(1) / 3, std::numeric_limits<T>::epsilon()) << element;
    }
  }
}

TYPED_TEST(ScoresTest, InvertsSumsExceptZero) {
  using T = TypeParam;
  std::vector<T> sums = tokens<T>(4);
  sums[0] = T(0);
  sums[1] = std::numeric_limits<T>::quiet_NaN();
  invertSums(sums.data(), sums.data());
  EXPECT_EQ(sums[0], T(0));
  EXPECT_TRUE(std::isnan(sums[1]));
  EXPECT_EQ(sums.back(), T(0.25));
}

}  // namespace cross_attention::test::attention_scores_test
