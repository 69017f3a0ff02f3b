#include "linalg/microkernel.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "linalg/panels.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::linalg_microkernel_test {

namespace {

using namespace linalg;

constexpr double kUntouched = -77;

/// Multiplies a sequence of tiles along a row of tiles (same row panel) or along a column (same column
/// panel). The values are small integers, so every sum is exact.
template <class T>
void expectRun(Random& random, Index tiles, Index rows, Index depth, Start start, bool alongRow) {
  constexpr Index kRows = kTileRows<T>;
  constexpr Index kColumns = kTileColumns<T>;
  SCOPED_TRACE(std::to_string(tiles) + " tiles of " + std::to_string(rows) + " rows, depth " +
               std::to_string(depth) + ", start " + std::to_string(static_cast<int>(start)) +
               (alongRow ? ", along a row" : ", along a column"));
  const std::vector<T> left = smallIntegers<T>(random, (tiles + 1) * kRows * depth);
  const std::vector<T> right = smallIntegers<T>(random, (tiles + 1) * kColumns * depth);
  const std::vector<T> bias = smallIntegers<T>(random, (tiles + 1) * kRows);
  const Index rowStride = kColumns + 3;
  const Index step = kRows * rowStride + 5;
  std::vector<T> result(static_cast<std::size_t>((tiles + 1) * step), static_cast<T>(kUntouched));
  std::vector<T> expected = result;
  for (Index tile = 0; tile < tiles; ++tile) {
    const T* leftPanel = left.data() + (alongRow ? 0 : tile * kRows * depth);
    const T* rightPanel = right.data() + (alongRow ? tile * kColumns * depth : 0);
    for (Index row = 0; row < rows; ++row) {
      for (Index column = 0; column < kColumns; ++column) {
        T& value = expected[static_cast<std::size_t>(tile * step + row * rowStride + column)];
        if (start == Start::kZero) value = T(0);
        if (start == Start::kBias) {
          value = bias[static_cast<std::size_t>((alongRow ? 0 : tile * kRows) + row)];
        }
        for (Index term = 0; term < depth; ++term) {
          value += leftPanel[term * kRows + row] * rightPanel[term * kColumns + column];
        }
      }
    }
  }
  multiplyTiles<T>({.tiles = tiles,
                    .rows = rows,
                    .depth = depth,
                    .rowPanel = left.data(),
                    .rowPanelStep = alongRow ? 0 : kRows * depth,
                    .columnPanel = right.data(),
                    .columnPanelStep = alongRow ? kColumns * depth : 0,
                    .destination = result.data(),
                    .destinationStep = step,
                    .rowStride = rowStride,
                    .start = start,
                    .bias = start == Start::kBias ? bias.data() : nullptr,
                    .biasStep = start == Start::kBias && !alongRow ? kRows : 0});
  ASSERT_EQ(result, expected);
}

}  // namespace

template <class T>
class MicrokernelTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(MicrokernelTest, Formats);

TYPED_TEST(MicrokernelTest, WritesOnlyItsTiles) {
  using T = TypeParam;
  Random random(31);
  for (Index rows = 1; rows <= kTileRows<T>; ++rows) {
    for (const Index tiles : {0, 1, 2, 5}) {
      for (const Index depth : {0, 1, 9}) {
        for (const Start start : {Start::kZero, Start::kBias, Start::kAccumulate}) {
          for (const bool alongRow : {true, false}) {
            expectRun<T>(random, tiles, rows, depth, start, alongRow);
          }
        }
      }
    }
  }
}

}  // namespace cross_attention::test::linalg_microkernel_test
