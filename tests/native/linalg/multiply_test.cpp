#include "linalg/multiply.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/build.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::linalg_multiply_test {

namespace {

using namespace linalg;

/// The values are small integers by default. Then every product below is exact in any order, and results are
/// compared for equality.
template <class T>
struct Operands {
  Index rows, columns, depth;
  std::vector<T> left, right, bias, before;
  std::vector<T> leftMemory, rightMemory;

  Operands(Random& random, Index rowCount, Index columnCount, Index depthCount,
           std::vector<T> (*values)(Random&, Index) = smallIntegers<T>)
      : rows(rowCount),
        columns(columnCount),
        depth(depthCount),
        left(values(random, rows * depth)),
        right(values(random, depth * columns)),
        bias(values(random, rows)),
        before(values(random, rows * columns)),
        leftMemory(static_cast<std::size_t>(rowPanelsSize<T>(rows, depth))),
        rightMemory(static_cast<std::size_t>(columnPanelsSize<T>(depth, columns))) {}

  RowPanels<T> packedLeft() {
    return packRows<T>(rowMajor<const T>(left.data(), rows, depth), leftMemory.data());
  }
  ColumnPanels<const T> packedRight() {
    return packColumns<T>(rowMajor<const T>(right.data(), depth, columns), rightMemory.data());
  }
  T expected(Start start, Index row, Index column) const {
    T sum = start == Start::kBias         ? bias[static_cast<std::size_t>(row)]
            : start == Start::kAccumulate ? before[static_cast<std::size_t>(row * columns + column)]
                                          : T(0);
    for (Index term = 0; term < depth; ++term) {
      sum += left[static_cast<std::size_t>(row * depth + term)] *
             right[static_cast<std::size_t>(term * columns + column)];
    }
    return sum;
  }
};

template <class T>
void expectPanels(Operands<T>& operands, Start start) {
  std::vector<T> memory(static_cast<std::size_t>(columnPanelsSize<T>(operands.rows, operands.columns)));
  const ColumnPanels<T> result = packColumns<T>(
      rowMajor<const T>(operands.before.data(), operands.rows, operands.columns), memory.data());
  multiply<T>(operands.packedLeft(), operands.packedRight(), result, start, operands.bias.data());
  for (Index row = 0; row < operands.rows; ++row) {
    for (Index column = 0; column < operands.columns; ++column) {
      const T value =
          result.panel(column / kTileColumns<T>)[row * kTileColumns<T> + column % kTileColumns<T>];
      ASSERT_EQ(value, operands.expected(start, row, column)) << row << ", " << column;
    }
  }
}

/// Multiplies into a matrix with padding between its rows (or columns). The padding must not change.
template <class T>
void expectMatrix(Operands<T>& operands, Start start, bool transposed) {
  const Index outer = transposed ? operands.columns : operands.rows;
  const Index inner = transposed ? operands.rows : operands.columns;
  const Index stride = inner + 3;
  constexpr T kBetween = T(-99);
  std::vector<T> memory(static_cast<std::size_t>(outer * stride), kBetween);
  MatrixView<T> result{memory.data(), outer, inner, stride, 1};
  if (transposed) result = result.transposed();
  for (Index row = 0; row < operands.rows; ++row) {
    for (Index column = 0; column < operands.columns; ++column) {
      *result.at(row, column) = operands.before[static_cast<std::size_t>(row * operands.columns + column)];
    }
  }
  multiply<T>(operands.packedLeft(), operands.packedRight(), result, start, operands.bias.data());
  for (Index row = 0; row < operands.rows; ++row) {
    for (Index column = 0; column < operands.columns; ++column) {
      ASSERT_EQ(*result.at(row, column), operands.expected(start, row, column)) << row << ", " << column;
    }
  }
  for (Index index = 0; index < outer; ++index) {
    for (Index pad = inner; pad < stride; ++pad) {
      ASSERT_EQ(memory[static_cast<std::size_t>(index * stride + pad)], kBetween);
    }
  }
}

template <class T>
void expectProduct(Random& random, Index rows, Index columns, Index depth) {
  Operands<T> operands(random, rows, columns, depth);
  for (const Start start : {Start::kZero, Start::kBias, Start::kAccumulate}) {
    SCOPED_TRACE(std::to_string(rows) + " × " + std::to_string(depth) + " · " + std::to_string(depth) +
                 " × " + std::to_string(columns) + ", start " + std::to_string(static_cast<int>(start)));
    expectPanels(operands, start);
    expectMatrix(operands, start, false);
    expectMatrix(operands, start, true);
  }
}

}  // namespace

template <class T>
class MultiplyTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(MultiplyTest, Formats);

TYPED_TEST(MultiplyTest, AllTileEdges) {
  using T = TypeParam;
  Random random(3);
  constexpr Index kRows = kTileRows<T>;
  constexpr Index kColumns = kTileColumns<T>;
  std::vector<Index> rowCounts;
  for (Index rows = 1; rows <= 2 * kRows + 1; ++rows) rowCounts.push_back(rows);
  for (const Index rows : rowCounts) {
    for (const Index columns :
         {Index(1), kColumns - 1, kColumns, kColumns + 1, 2 * kColumns, 2 * kColumns + 3}) {
      for (const Index depth : {1, 2, 7}) expectProduct<T>(random, rows, columns, depth);
    }
  }
}

TYPED_TEST(MultiplyTest, DepthsAroundABlock) {
  using T = TypeParam;
  Random random(4);
  // Sums over more than 384 floats or 192 doubles are computed in blocks. 49 · 1200 < 2^24, so they are still
  // exact.
  for (const Index depth : {191, 192, 193, 383, 384, 385, 577, 768, 769, 1200}) {
    expectProduct<T>(random, kTileRows<T> + 1, kTileColumns<T> + 1, depth);
  }
}

TYPED_TEST(MultiplyTest, ZeroDepthReturnsTheStartValue) {
  using T = TypeParam;
  Random random(5);
  expectProduct<T>(random, kTileRows<T> + 2, kTileColumns<T> + 2, 0);
}

TYPED_TEST(MultiplyTest, RandomSizes) {
  using T = TypeParam;
  Random random(6);
  for (int round = 0; round < reduced(60, 12); ++round) {
    expectProduct<T>(random, between(random, 1, 70), between(random, 1, 70), between(random, 1, 100));
  }
}

TYPED_TEST(MultiplyTest, PartsOfDeeperPanels) {
  using T = TypeParam;
  Random random(8);
  Operands<T> operands(random, 2 * kTileRows<T> + 1, 2 * kTileColumns<T> + 1, 40);
  const RowPanels<T> left = operands.packedLeft();
  const ColumnPanels<const T> right = operands.packedRight();
  std::vector<T> memory(static_cast<std::size_t>(operands.rows * operands.columns));
  const MatrixView<T> result = rowMajor(memory.data(), operands.rows, operands.columns);
  multiply<T>(left.depthRange(0, 13), right.depthRange(0, 13), result);
  multiply<T>(left.depthRange(13, 27), right.depthRange(13, 27), result, Start::kAccumulate);
  for (Index row = 0; row < operands.rows; ++row) {
    for (Index column = 0; column < operands.columns; ++column) {
      ASSERT_EQ(*result.at(row, column), operands.expected(Start::kZero, row, column));
    }
  }
}

TYPED_TEST(MultiplyTest, MoreThanOneGroupOfColumnPanels) {
  using T = TypeParam;
  Random random(10);
  // A group of column panels has 256 KiB, over the whole depth or over one block of it.
  for (const Index depth : {Index(64), Index(400)}) {
    const Index groupColumns = 256 * 1024 / static_cast<Index>(sizeof(T)) / depth;
    for (const Index columns : {groupColumns + 1, 2 * groupColumns + kTileColumns<T> + 3}) {
      for (const Index rows : {Index(1), 2 * kTileRows<T> + 1}) {
        expectProduct<T>(random, rows, columns, depth);
      }
    }
  }
}

/// Planner and layer rely on this: the bits of a column do not depend on the other columns of the call.
TYPED_TEST(MultiplyTest, BitsOfAColumnDoNotDependOnOtherColumns) {
  using T = TypeParam;
  Random random(11);
  constexpr Index kDepth = 500;
  constexpr Index kRows = 3 * kTileRows<T> + 2;
  const Index columns = 9 * kTileColumns<T> + 1;
  Operands<T> operands(random, kRows, columns, kDepth, normalValues<T>);
  const RowPanels<T> rows = operands.packedLeft();
  const ColumnPanels<const T> all = operands.packedRight();
  std::vector<T> whole(static_cast<std::size_t>(columnPanelsSize<T>(kRows, columns)));
  std::vector<T> parts(whole.size());
  std::vector<T> matrix(static_cast<std::size_t>(kRows * columns));
  multiply<T>(rows, all, columnPanels(whole.data(), kRows, columns));
  multiply<T>(rows, all, rowMajor(matrix.data(), kRows, columns));
  const ColumnPanels<T> result = columnPanels(parts.data(), kRows, columns);
  for (const auto& [begin, end] : {std::pair<Index, Index>{0, 1}, {1, 4}, {4, 9}, {9, 10}}) {
    multiply<T>(rows, all.panelRange(begin, end), result.panelRange(begin, end));
  }
  ASSERT_EQ(parts, whole);
  // Only whole tiles of the matrix are compared. Tiles at its edge are accumulated per block of the depth.
  for (Index row = 0; row < kRows; ++row) {
    for (Index column = 0; column < 9 * kTileColumns<T>; ++column) {
      const T value =
          result.panel(column / kTileColumns<T>)[row * kTileColumns<T> + column % kTileColumns<T>];
      ASSERT_EQ(matrix[static_cast<std::size_t>(row * columns + column)], value);
    }
  }
}

TYPED_TEST(MultiplyTest, RoundingErrorIsWithinItsBound) {
  using T = TypeParam;
  Random random(9);
  constexpr Index kDepth = 1000;
  constexpr Index kRows = kTileRows<T> + 1;
  const Index columns = 4 * kTileColumns<T> + 3;
  Operands<T> operands(random, kRows, columns, kDepth, normalValues<T>);
  const RowPanels<T> rows = operands.packedLeft();
  const ColumnPanels<const T> all = operands.packedRight();
  double worst = 0;
  for (const Start start : {Start::kZero, Start::kBias, Start::kAccumulate}) {
    std::vector<T> result = operands.before;
    multiply<T>(rows, all, rowMajor(result.data(), kRows, columns), start, operands.bias.data());
    for (Index row = 0; row < kRows; ++row) {
      for (Index column = 0; column < columns; ++column) {
        const auto element = static_cast<std::size_t>(row * columns + column);
        long double exact = 0;
        if (start == Start::kBias) exact = operands.bias[static_cast<std::size_t>(row)];
        if (start == Start::kAccumulate) exact = operands.before[element];
        long double magnitudes = std::abs(exact);
        for (Index term = 0; term < kDepth; ++term) {
          const long double product =
              static_cast<long double>(operands.left[static_cast<std::size_t>(row * kDepth + term)]) *
              operands.right[static_cast<std::size_t>(term * columns + column)];
          exact += product;
          magnitudes += std::abs(product);
        }
        // The error of a sum of n products is at most n · epsilon/2 · the sum of their magnitudes (Higham,
        // 2002, section 3.1).
        const long double bound = (kDepth + 1) * std::numeric_limits<T>::epsilon() / 2 * magnitudes;
        const long double error = std::abs(result[element] - exact);
        ASSERT_LE(error, bound) << row << ", " << column;
        worst = std::max(worst, static_cast<double>(error / bound));
      }
    }
  }
  std::printf("sums of %d products, %zu bytes: error at most %.2g of its bound\n", static_cast<int>(kDepth),
              sizeof(T), worst);
}

}  // namespace cross_attention::test::linalg_multiply_test
