#include <gtest/gtest.h>

#include <string>

#include "attention/folded_backward.hpp"
#include "attention/folded_forward.hpp"
#include "support/comparison.hpp"
#include "support/random_data.hpp"
#include "support/reference_head.hpp"

namespace cross_attention::test::attention_folded_test {

namespace {

using namespace linalg;

struct FoldedShape {
  Index tokens, keys, channels, heads;
  bool masked, maskPerToken, maskPerHead;

  std::string describe() const {
    return std::to_string(tokens) + " tokens, " + std::to_string(keys) + " keys, " +
           std::to_string(channels) + " channels, " + std::to_string(heads) + " heads" +
           (masked ? ", masked" : "") + (maskPerToken ? " per token" : "") + (maskPerHead ? " per head" : "");
  }
};

template <class T>
std::vector<FoldedShape> shapes() {
  std::vector<FoldedShape> all;
  for (const Index tokens : {Index(1), kTileColumns<T>, 2 * kTileColumns<T> + 3}) {
    for (const Index keys : {Index(0), Index(1), kTileRows<T>, 2 * kTileRows<T> + 1}) {
      all.push_back({tokens, keys, 13, 3, false, false, false});
      for (const bool perToken : {false, true}) {
        for (const bool perHead : {false, true}) {
          all.push_back({tokens, keys, 13, 3, true, perToken, perHead});
        }
      }
    }
  }
  all.push_back({19, 23, 200, 1, true, true, true});
  return all;
}

/// All heads of a block. For the reference, the folded keys of a head are the keys of a head whose queries
/// are the input.
template <class T>
struct FoldedCase {
  FoldedShape shape;
  Index headStride = roundUp(shape.keys, kTileRows<T>);
  Index rows = shape.heads * headStride;
  /// [tokens, channels]
  std::vector<T> input, outputGradient;
  /// [heads or 1, tokens or 1, keys]
  std::vector<T> mask;
  /// [heads · headStride, channels]; padding rows are zero.
  std::vector<T> keys, values;
  std::vector<T> inputMemory, gradientMemory, keyMemory, valueMemory;

  FoldedCase(Random& random, const FoldedShape& described)
      : shape(described),
        input(normalValues<T>(random, shape.tokens * shape.channels)),
        outputGradient(normalValues<T>(random, shape.tokens * shape.channels)),
        keys(normalValues<T>(random, rows * shape.channels)),
        values(normalValues<T>(random, rows * shape.channels)) {
    for (Index row = 0; row < rows; ++row) {
      if (row % headStride < shape.keys) continue;
      std::fill_n(keys.begin() + row * shape.channels, shape.channels, T(0));
      std::fill_n(values.begin() + row * shape.channels, shape.channels, T(0));
    }
    if (!shape.masked) return;
    mask = normalValues<T>(random, (shape.maskPerHead ? shape.heads : 1) * maskSize());
    for (T& bias : mask) {
      if (random.uniform() < 0.4) bias = -std::numeric_limits<T>::infinity();
    }
    // The last token of the last head attends to nothing.
    std::fill_n(mask.end() - shape.keys, shape.keys, -std::numeric_limits<T>::infinity());
  }

  Index maskSize() const { return (shape.maskPerToken ? shape.tokens : 1) * shape.keys; }
  Index maskHeadStride() const { return shape.masked && shape.maskPerHead ? maskSize() : 0; }
  attention::HeadMask<T> headMask() const {
    if (!shape.masked) return {};
    return {mask.data(), shape.maskPerToken ? shape.keys : 0};
  }
  ColumnPanels<const T> columns(const std::vector<T>& tokens, std::vector<T>& memory) const {
    memory.resize(static_cast<std::size_t>(columnPanelsSize<T>(shape.channels, shape.tokens)));
    return packColumns<T>(rowMajor<const T>(tokens.data(), shape.tokens, shape.channels).transposed(),
                          memory.data());
  }
  RowPanels<T> rowsOf(const std::vector<T>& matrix, T factor, std::vector<T>& memory) const {
    std::vector<T> scaled = matrix;
    for (T& value : scaled) value *= factor;
    memory.resize(static_cast<std::size_t>(rowPanelsSize<T>(rows, shape.channels)));
    return packRows<T>(rowMajor<const T>(scaled.data(), rows, shape.channels), memory.data());
  }
  RowPanels<T> baseTwoKeys() { return rowsOf(keys, static_cast<T>(attention::kLog2E), keyMemory); }

  ReferenceHead reference(Index head) const {
    const auto of = [&](const std::vector<T>& matrix) {
      const auto first = matrix.begin() + head * headStride * shape.channels;
      return std::vector<double>(first, first + shape.keys * shape.channels);
    };
    ReferenceHead result{
        shape.tokens, shape.keys, shape.channels, {input.begin(), input.end()}, of(keys), of(values),
        1.0,          {}};
    if (shape.masked) {
      result.mask = [this, head](Index token, Index key) {
        const Index row = shape.maskPerToken ? token * shape.keys : 0;
        return static_cast<double>(mask[static_cast<std::size_t>(head * maskHeadStride() + row + key)]);
      };
    }
    return result;
  }
  double tolerance() const {
    // As for flash attention: scores have a standard deviation of √channels and are sums of that many terms.
    const auto channels = static_cast<double>(shape.channels);
    return 16 * std::numeric_limits<T>::epsilon() * std::sqrt(channels + static_cast<double>(shape.keys)) *
           (1 + std::sqrt(channels));
  }
  T at(ColumnPanels<const T> panels, Index head, Index key, Index token) const {
    return panels.panel(
        token / kTileColumns<T>)[(head * headStride + key) * kTileColumns<T> + token % kTileColumns<T>];
  }
  /// Returns [heads, tokens, keys]. Expects zeros in the padding rows.
  std::vector<T> unpack(ColumnPanels<const T> panels) const {
    std::vector<T> result;
    for (Index head = 0; head < shape.heads; ++head) {
      for (Index token = 0; token < shape.tokens; ++token) {
        for (Index key = 0; key < headStride; ++key) {
          const T value = at(panels, head, key, token);
          if (key < shape.keys) {
            result.push_back(value);
          } else {
            EXPECT_EQ(value, T(0));
          }
        }
      }
    }
    return result;
  }
  std::vector<T> panelMemory() const {
    return std::vector<T>(static_cast<std::size_t>(columnPanelsSize<T>(rows, shape.tokens)), T(-5));
  }
};

}  // namespace

template <class T>
class FoldedAttentionTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(FoldedAttentionTest, Formats);

TYPED_TEST(FoldedAttentionTest, ForwardAndLogSumExp) {
  using T = TypeParam;
  Random random(51);
  for (const FoldedShape& shape : shapes<T>()) {
    SCOPED_TRACE(shape.describe());
    FoldedCase<T> foldedCase(random, shape);
    std::vector<double> expected, expectedLogSumExp;
    for (Index head = 0; head < shape.heads; ++head) {
      const ReferenceHead reference = foldedCase.reference(head);
      const std::vector<double> part = reference.probabilities();
      expected.insert(expected.end(), part.begin(), part.end());
      for (Index token = 0; token < shape.tokens; ++token) {
        expectedLogSumExp.push_back(attention::kLog2E * reference.logSumExp(token));
      }
    }
    std::vector<T> memory = foldedCase.panelMemory();
    std::vector<T> logSumExp(static_cast<std::size_t>(shape.heads * shape.tokens), T(-5));
    attention::FoldedForward<T> task{
        .input = foldedCase.columns(foldedCase.input, foldedCase.inputMemory),
        .keys = foldedCase.baseTwoKeys(),
        .heads = shape.heads,
        .headStride = foldedCase.headStride,
        .keysPerHead = shape.keys,
        .mask = foldedCase.headMask(),
        .maskHeadStride = foldedCase.maskHeadStride(),
        .probabilities = columnPanels(memory.data(), foldedCase.rows, shape.tokens),
        .logSumExp = logSumExp.data(),
        .logSumExpHeadStride = shape.tokens};
    attention::foldedForward(task);
    ASSERT_TRUE(isNear(foldedCase.unpack(task.probabilities), expected, foldedCase.tolerance()));
    ASSERT_TRUE(isNear(logSumExp, expectedLogSumExp, foldedCase.tolerance()));
    const std::vector<T> with = memory;
    task.logSumExp = nullptr;
    attention::foldedForward(task);
    ASSERT_TRUE(isIdentical(memory, with));
  }
}

TYPED_TEST(FoldedAttentionTest, Backward) {
  using T = TypeParam;
  Random random(52);
  for (const FoldedShape& shape : shapes<T>()) {
    SCOPED_TRACE(shape.describe());
    FoldedCase<T> foldedCase(random, shape);
    std::vector<double> expected, expectedGradients;
    std::vector<T> logSumExp;
    for (Index head = 0; head < shape.heads; ++head) {
      const ReferenceHead reference = foldedCase.reference(head);
      const std::vector<double> weights = reference.probabilities();
      expected.insert(expected.end(), weights.begin(), weights.end());
      for (Index token = 0; token < shape.tokens; ++token) {
        logSumExp.push_back(static_cast<T>(attention::kLog2E * reference.logSumExp(token)));
        // dL/d(probability) of each key and their mean weighted by the probabilities.
        std::vector<double> probabilityGradients;
        double mean = 0;
        for (Index key = 0; key < shape.keys; ++key) {
          double gradient = 0;
          for (Index channel = 0; channel < shape.channels; ++channel) {
            gradient +=
                reference.value[static_cast<std::size_t>(key * shape.channels + channel)] *
                static_cast<double>(
                    foldedCase.outputGradient[static_cast<std::size_t>(token * shape.channels + channel)]);
          }
          probabilityGradients.push_back(gradient);
          mean += weights[static_cast<std::size_t>(token * shape.keys + key)] * gradient;
        }
        for (Index key = 0; key < shape.keys; ++key) {
          expectedGradients.push_back(attention::kLn2 *
                                      weights[static_cast<std::size_t>(token * shape.keys + key)] *
                                      (probabilityGradients[static_cast<std::size_t>(key)] - mean));
        }
      }
    }
    std::vector<T> memory = foldedCase.panelMemory();
    std::vector<T> gradientMemory = foldedCase.panelMemory();
    const attention::FoldedBackward<T> task{
        .input = foldedCase.columns(foldedCase.input, foldedCase.inputMemory),
        .outputGradient = foldedCase.columns(foldedCase.outputGradient, foldedCase.gradientMemory),
        .keys = foldedCase.baseTwoKeys(),
        .values = foldedCase.rowsOf(foldedCase.values, T(1), foldedCase.valueMemory),
        .heads = shape.heads,
        .headStride = foldedCase.headStride,
        .keysPerHead = shape.keys,
        .mask = foldedCase.headMask(),
        .maskHeadStride = foldedCase.maskHeadStride(),
        .logSumExp = logSumExp.data(),
        .logSumExpHeadStride = shape.tokens,
        .probabilities = columnPanels(memory.data(), foldedCase.rows, shape.tokens),
        .scoreGradients = columnPanels(gradientMemory.data(), foldedCase.rows, shape.tokens)};
    attention::foldedBackward(task);
    ASSERT_TRUE(isNear(foldedCase.unpack(task.probabilities), expected, foldedCase.tolerance()));
    ASSERT_TRUE(isNear(foldedCase.unpack(task.scoreGradients), expectedGradients,
                       foldedCase.tolerance() * (1 + std::sqrt(static_cast<double>(shape.channels)))));
    // Padding tokens of the last panel must not contribute to sums over tokens.
    for (Index token = shape.tokens; token < roundUp(shape.tokens, kTileColumns<T>); ++token) {
      for (Index row = 0; row < foldedCase.rows; ++row) {
        ASSERT_EQ(foldedCase.at(task.probabilities, 0, row, token), T(0));
        ASSERT_EQ(foldedCase.at(task.scoreGradients, 0, row, token), T(0));
      }
    }
  }
}

}  // namespace cross_attention::test::attention_folded_test
