#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "attention/flash_backward.hpp"
#include "attention/flash_forward.hpp"
#include "attention/probabilities.hpp"
#include "support/build.hpp"
#include "support/comparison.hpp"
#include "support/random_data.hpp"
#include "support/reference_head.hpp"

namespace cross_attention::test::attention_flash_test {

namespace {

using namespace linalg;

/// kIgnoringAll: like kPerToken, but the last token ignores all keys.
enum class MaskKind { kNone, kPerToken, kShared, kIgnoringAll };

struct HeadShape {
  Index tokens, keys, headDim;
  MaskKind mask = MaskKind::kNone;

  std::string describe() const {
    return std::to_string(tokens) + " tokens, " + std::to_string(keys) + " keys, headDim " +
           std::to_string(headDim) + ", mask " + std::to_string(static_cast<int>(mask));
  }
};

/// One head: the operands of the core and of the reference, with the same values.
template <class T>
class HeadCase {
 public:
  HeadShape shape;
  std::vector<T> query, key, value, maskValues, outputGradient;
  /// The keys as the core expects them: multiplied by log2(e).
  std::vector<T> baseTwoKey;

  HeadCase(Random& random, const HeadShape& described)
      : shape(described),
        query(normalValues<T>(random, shape.tokens * shape.headDim)),
        key(normalValues<T>(random, shape.keys * shape.headDim)),
        value(normalValues<T>(random, shape.keys * shape.headDim)),
        outputGradient(normalValues<T>(random, shape.tokens * shape.headDim)) {
    for (const T element : key) {
      baseTwoKey.push_back(static_cast<T>(attention::kLog2E * static_cast<double>(element)));
    }
    if (shape.mask == MaskKind::kNone) return;
    maskValues =
        normalValues<T>(random, shape.mask == MaskKind::kShared ? shape.keys : shape.tokens * shape.keys);
    constexpr T kIgnore = -std::numeric_limits<T>::infinity();
    for (T& bias : maskValues) {
      if (random.uniform() < 0.4) bias = kIgnore;
    }
    if (shape.mask == MaskKind::kIgnoringAll) {
      std::fill_n(maskValues.begin() + (shape.tokens - 1) * shape.keys, shape.keys, kIgnore);
    }
  }

  ReferenceHead reference() const {
    ReferenceHead head{shape.tokens,
                       shape.keys,
                       shape.headDim,
                       {query.begin(), query.end()},
                       {key.begin(), key.end()},
                       {value.begin(), value.end()},
                       1.0,
                       {}};
    if (shape.mask != MaskKind::kNone) {
      head.mask = [this](Index token, Index keyIndex) {
        const Index row = shape.mask == MaskKind::kShared ? 0 : token;
        return static_cast<double>(maskValues[static_cast<std::size_t>(row * shape.keys + keyIndex)]);
      };
    }
    return head;
  }

  attention::HeadMask<T> mask() const {
    if (shape.mask == MaskKind::kNone) return {};
    return {maskValues.data(), shape.mask == MaskKind::kShared ? 0 : shape.keys};
  }
  /// Packs tokens as columns: [headDim × tokens].
  ColumnPanels<const T> tokenPanels(const std::vector<T>& rows, std::vector<T>& memory) const {
    memory.assign(static_cast<std::size_t>(columnPanelsSize<T>(shape.headDim, shape.tokens)), T(0));
    return packColumns<T>(tokenRows(rows).transposed(), memory.data());
  }
  RowPanels<T> keyPanels(const std::vector<T>& rows, std::vector<T>& memory, bool transposed) const {
    const MatrixView<const T> matrix = rowMajor<const T>(rows.data(), shape.keys, shape.headDim);
    const MatrixView<const T> packed = transposed ? matrix.transposed() : matrix;
    memory.assign(static_cast<std::size_t>(rowPanelsSize<T>(packed.rows, packed.columns)), T(0));
    return packRows<T>(packed, memory.data());
  }
  /// Returns a result [headDim × tokens] as rows.
  std::vector<T> unpack(ColumnPanels<const T> panels) const {
    std::vector<T> rows;
    for (Index token = 0; token < shape.tokens; ++token) {
      for (Index row = 0; row < shape.headDim; ++row) {
        rows.push_back(
            panels.panel(token / kTileColumns<T>)[row * kTileColumns<T> + token % kTileColumns<T>]);
      }
    }
    return rows;
  }

 private:
  MatrixView<const T> tokenRows(const std::vector<T>& rows) const {
    return rowMajor<const T>(rows.data(), shape.tokens, shape.headDim);
  }
};

template <class T>
std::vector<HeadShape> headShapes() {
  constexpr Index kRows = kTileRows<T>;
  constexpr Index kColumns = kTileColumns<T>;
  std::vector<HeadShape> shapes;
  for (const MaskKind mask :
       {MaskKind::kNone, MaskKind::kPerToken, MaskKind::kShared, MaskKind::kIgnoringAll}) {
    for (const Index tokens : {Index(1), kColumns - 1, kColumns, kColumns + 1, 3 * kColumns + 2}) {
      for (const Index keys : {Index(1), kRows - 1, kRows, kRows + 1, 2 * kRows, 5 * kRows + 3}) {
        shapes.push_back({tokens, keys, 5, mask});
      }
    }
    for (const Index headDim : {1, 2, 8, 40, 131}) shapes.push_back({19, 23, headDim, mask});
  }
  return shapes;
}

/// Values are unit-normal, so scores have a standard deviation of √headDim. Their rounding errors grow with
/// their size (a few √headDim) and with the number of terms. The factor 16 covers the largest element.
template <class T>
double tolerance(const HeadShape& shape) {
  const auto terms = static_cast<double>(shape.headDim + shape.keys);
  return 16 * std::numeric_limits<T>::epsilon() * std::sqrt(terms) *
         (1 + std::sqrt(static_cast<double>(shape.headDim)));
}

/// Returns values of keyBlock: one tile, two tiles and all keys at once.
template <class T>
std::vector<Index> keyBlocks(Index keys) {
  return {kTileRows<T>, 2 * kTileRows<T>, roundUp(keys, kTileRows<T>)};
}

}  // namespace

template <class T>
class FlashTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(FlashTest, Formats);

TYPED_TEST(FlashTest, ForwardAndLogSumExp) {
  using T = TypeParam;
  Random random(21);
  for (const HeadShape& shape : headShapes<T>()) {
    const HeadCase<T> head(random, shape);
    const ReferenceHead reference = head.reference();
    std::vector<double> expectedLogSumExp;
    for (Index token = 0; token < shape.tokens; ++token) {
      expectedLogSumExp.push_back(attention::kLog2E * reference.logSumExp(token));
    }
    for (const Index keyBlock : keyBlocks<T>(shape.keys)) {
      SCOPED_TRACE(shape.describe() + ", key block " + std::to_string(keyBlock));
      std::vector<T> queryMemory, keyMemory, valueMemory;
      std::vector<T> outputMemory(static_cast<std::size_t>(columnPanelsSize<T>(shape.headDim, shape.tokens)),
                                  T(-5));
      std::vector<T> logSumExp(static_cast<std::size_t>(shape.tokens), T(-5));
      std::vector<T> scratch(
          static_cast<std::size_t>(attention::flashForwardScratch<T>(shape.tokens, keyBlock)));
      const ColumnPanels<T> output = columnPanels(outputMemory.data(), shape.headDim, shape.tokens);
      attention::FlashForward<T> task{.query = head.tokenPanels(head.query, queryMemory),
                                      .keys = head.keyPanels(head.baseTwoKey, keyMemory, false),
                                      .valuesTransposed = head.keyPanels(head.value, valueMemory, true),
                                      .mask = head.mask(),
                                      .keyBlock = keyBlock,
                                      .output = output,
                                      .logSumExp = logSumExp.data()};
      attention::flashForward<T>(task, scratch.data());
      ASSERT_TRUE(isNear(head.unpack(output), reference.output(), tolerance<T>(shape)));
      ASSERT_TRUE(isNear(logSumExp, expectedLogSumExp, tolerance<T>(shape)));
      // The bits of the output do not depend on whether log-sum-exp is requested.
      const std::vector<T> with = outputMemory;
      task.logSumExp = nullptr;
      attention::flashForward<T>(task, scratch.data());
      ASSERT_TRUE(isIdentical(outputMemory, with));
    }
  }
}

TYPED_TEST(FlashTest, ForwardWithoutKeysIsZero) {
  using T = TypeParam;
  Random random(22);
  const HeadCase<T> head(random, {kTileColumns<T> + 1, 1, 4});
  std::vector<T> queryMemory;
  std::vector<T> outputMemory(static_cast<std::size_t>(columnPanelsSize<T>(4, head.shape.tokens)), T(-5));
  std::vector<T> logSumExp(static_cast<std::size_t>(head.shape.tokens));
  std::vector<T> scratch(
      static_cast<std::size_t>(attention::flashForwardScratch<T>(head.shape.tokens, kTileRows<T>)));
  const ColumnPanels<T> output = columnPanels(outputMemory.data(), Index(4), head.shape.tokens);
  attention::flashForward<T>({.query = head.tokenPanels(head.query, queryMemory),
                              .keys = rowPanels<T>(nullptr, 0, 4),
                              .valuesTransposed = rowPanels<T>(nullptr, 4, 0),
                              .mask = {},
                              .keyBlock = kTileRows<T>,
                              .output = output,
                              .logSumExp = logSumExp.data()},
                             scratch.data());
  for (const T value : head.unpack(output)) EXPECT_EQ(value, T(0));
  for (const T value : logSumExp) EXPECT_EQ(value, -std::numeric_limits<T>::infinity());
}

TYPED_TEST(FlashTest, Backward) {
  using T = TypeParam;
  Random random(23);
  for (const HeadShape& shape : headShapes<T>()) {
    const HeadCase<T> head(random, shape);
    const ReferenceHead reference = head.reference();
    const ReferenceHead::Gradients expected =
        reference.gradients({head.outputGradient.begin(), head.outputGradient.end()});
    std::vector<T> logSumExp;
    for (Index token = 0; token < shape.tokens; ++token) {
      logSumExp.push_back(static_cast<T>(attention::kLog2E * reference.logSumExp(token)));
    }
    for (const Index keyBlock : keyBlocks<T>(shape.keys)) {
      for (const Index tokenBlock : {kTileColumns<T>, 2 * kTileColumns<T>}) {
        SCOPED_TRACE(shape.describe() + ", blocks " + std::to_string(tokenBlock) + " × " +
                     std::to_string(keyBlock));
        std::array<std::vector<T>, 6> memory;
        const auto panelMemory = [&] {
          return std::vector<T>(static_cast<std::size_t>(columnPanelsSize<T>(shape.headDim, shape.tokens)),
                                T(-5));
        };
        std::vector<T> outputMemory = panelMemory();
        std::vector<T> queryGradientMemory = panelMemory();
        // The kernel adds to these gradients: they are 1 before and 1 + gradient afterwards. The padding of
        // each row must stay 1.
        const Index stride = shape.keys + kTileColumns<T>;
        std::vector<T> keyGradient(static_cast<std::size_t>(shape.headDim * stride), T(1));
        std::vector<T> valueGradient = keyGradient;
        std::vector<T> scratch(static_cast<std::size_t>(
            attention::flashBackwardScratch<T>(shape.headDim, tokenBlock, keyBlock)));
        const ColumnPanels<T> output = columnPanels(outputMemory.data(), shape.headDim, shape.tokens);
        const ColumnPanels<T> queryGradient =
            columnPanels(queryGradientMemory.data(), shape.headDim, shape.tokens);
        attention::flashBackward<T>(
            {.query = head.tokenPanels(head.query, memory[0]),
             .outputGradient = head.tokenPanels(head.outputGradient, memory[1]),
             .keys = head.keyPanels(head.baseTwoKey, memory[2], false),
             .keysTransposed = head.keyPanels(head.baseTwoKey, memory[3], true),
             .values = head.keyPanels(head.value, memory[4], false),
             .valuesTransposed = head.keyPanels(head.value, memory[5], true),
             .mask = head.mask(),
             .logSumExp = logSumExp.data(),
             .tokenBlock = tokenBlock,
             .keyBlock = keyBlock,
             .output = output,
             .queryGradient = queryGradient,
             .keyGradient = {keyGradient.data(), shape.headDim, shape.keys, stride, 1},
             .valueGradient = {valueGradient.data(), shape.headDim, shape.keys, stride, 1}},
            scratch.data());
        const auto transposedPlusOne = [&](const std::vector<double>& rows, double factor) {
          std::vector<double> result;
          for (Index column = 0; column < shape.headDim; ++column) {
            for (Index key = 0; key < shape.keys; ++key) {
              result.push_back(1 + factor * rows[static_cast<std::size_t>(key * shape.headDim + column)]);
            }
            result.insert(result.end(), static_cast<std::size_t>(kTileColumns<T>), 1);
          }
          return result;
        };
        // As in the forward pass, times the factors of a gradient: products over headDim and sums over
        // tokens.
        const double allowed = tolerance<T>(shape) * (1 + std::sqrt(static_cast<double>(shape.headDim))) *
                               std::sqrt(static_cast<double>(shape.tokens));
        ASSERT_TRUE(isNear(head.unpack(output), reference.output(), allowed));
        ASSERT_TRUE(isNear(head.unpack(queryGradient), expected.query, allowed));
        // The core's gradient is with respect to its own keys, which are log2(e) times the keys of the
        // reference.
        ASSERT_TRUE(isNear(keyGradient, transposedPlusOne(expected.key, attention::kLn2), allowed));
        ASSERT_TRUE(isNear(valueGradient, transposedPlusOne(expected.value, 1), allowed));
      }
    }
  }
}

TYPED_TEST(FlashTest, AddsProbabilitiesToMap) {
  using T = TypeParam;
  Random random(24);
  for (const HeadShape& shape : headShapes<T>()) {
    const HeadCase<T> head(random, shape);
    const std::vector<double> weights = head.reference().probabilities();
    // The keys are every other key of a longer context.
    const Index length = 2 * shape.keys + 1;
    std::vector<Index> keyIndices;
    for (Index key = 0; key < shape.keys; ++key) keyIndices.push_back(2 * key + 1);
    for (const Index keyBlock : keyBlocks<T>(shape.keys)) {
      SCOPED_TRACE(shape.describe() + ", key block " + std::to_string(keyBlock));
      std::vector<T> queryMemory, keyMemory;
      std::vector<T> map(static_cast<std::size_t>(length * shape.tokens), T(2));
      std::vector<T> scratch(static_cast<std::size_t>(attention::probabilitiesScratch<T>(keyBlock)));
      attention::addProbabilities<T>({.query = head.tokenPanels(head.query, queryMemory),
                                      .keys = head.keyPanels(head.baseTwoKey, keyMemory, false),
                                      .mask = head.mask(),
                                      .keyBlock = keyBlock,
                                      .weight = T(0.25),
                                      .map = rowMajor(map.data(), length, shape.tokens),
                                      .keyIndices = keyIndices.data()},
                                     scratch.data());
      std::vector<double> expected(map.size(), 2.0);
      for (Index key = 0; key < shape.keys; ++key) {
        for (Index token = 0; token < shape.tokens; ++token) {
          expected[static_cast<std::size_t>((2 * key + 1) * shape.tokens + token)] +=
              0.25 * weights[static_cast<std::size_t>(token * shape.keys + key)];
        }
      }
      ASSERT_TRUE(isNear(map, expected, tolerance<T>(shape)));
    }
  }
}

}  // namespace cross_attention::test::attention_flash_test
