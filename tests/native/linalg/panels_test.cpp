#include "linalg/panels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/random_data.hpp"

namespace cross_attention::test::linalg_panels_test {

namespace {

using namespace linalg;

/// A matrix of distinct values in one of the possible memory orders.
template <class T>
struct Source {
  std::vector<T> memory;
  MatrixView<const T> view;

  enum class Order { kRows, kColumns, kNeither };
  Source(Index rows, Index columns, Order order) {
    const Index rowStride = order == Order::kRows ? columns + 2 : order == Order::kColumns ? 1 : 3;
    const Index columnStride = order == Order::kRows ? 1 : order == Order::kColumns ? rows + 1 : 3 * rows + 1;
    memory.resize(static_cast<std::size_t>(rows * rowStride + columns * columnStride + 1));
    for (std::size_t index = 0; index < memory.size(); ++index) {
      memory[index] = static_cast<T>(index % 65521 + 1);
    }
    view = {memory.data(), rows, columns, rowStride, columnStride};
  }
};

constexpr double kUntouched = -77;

/// Returns memory of exactly `size` elements, so that AddressSanitizer detects accesses beyond it.
template <class T>
std::vector<T> destination(Index size) {
  return std::vector<T>(static_cast<std::size_t>(size), static_cast<T>(kUntouched));
}

/// Returns sizes around multiples of a tile of `width`.
std::vector<Index> edges(Index width) {
  return {1, 2, width - 1, width, width + 1, 2 * width - 1, 2 * width, 2 * width + 1, 3 * width + 2};
}

template <class T>
void expectRowPanels(const RowPanels<T>& panels, MatrixView<const T> matrix) {
  ASSERT_EQ(panels.rows, matrix.rows);
  ASSERT_EQ(panels.depth, matrix.columns);
  for (Index row = 0; row < roundUp(matrix.rows, kTileRows<T>); ++row) {
    for (Index depth = 0; depth < matrix.columns; ++depth) {
      const T packed = panels.panel(row / kTileRows<T>)[depth * kTileRows<T> + row % kTileRows<T>];
      const T expected = row < matrix.rows ? *matrix.at(row, depth) : T(0);
      ASSERT_EQ(packed, expected) << "row " << row << ", depth " << depth;
    }
  }
}

template <class T>
void expectColumnPanels(const ColumnPanels<T>& panels, MatrixView<const T> matrix) {
  ASSERT_EQ(panels.depth, matrix.rows);
  ASSERT_EQ(panels.columns, matrix.columns);
  for (Index column = 0; column < roundUp(matrix.columns, kTileColumns<T>); ++column) {
    for (Index depth = 0; depth < matrix.rows; ++depth) {
      const T packed =
          panels.panel(column / kTileColumns<T>)[depth * kTileColumns<T> + column % kTileColumns<T>];
      const T expected = column < matrix.columns ? *matrix.at(depth, column) : T(0);
      ASSERT_EQ(packed, expected) << "depth " << depth << ", column " << column;
    }
  }
}

template <class T>
void forAllSources(Index width, auto use) {
  for (const Index rows : edges(width)) {
    for (const Index columns : edges(simd::kLanes<T>)) {
      if (rows < 1 || columns < 1) continue;
      for (const auto order :
           {Source<T>::Order::kRows, Source<T>::Order::kColumns, Source<T>::Order::kNeither}) {
        SCOPED_TRACE(std::to_string(rows) + " × " + std::to_string(columns) + ", order " +
                     std::to_string(static_cast<int>(order)));
        use(Source<T>(rows, columns, order));
      }
    }
  }
}

}  // namespace

template <class T>
class PanelsTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(PanelsTest, Formats);

TYPED_TEST(PanelsTest, PacksRows) {
  using T = TypeParam;
  forAllSources<T>(kTileRows<T>, [](const Source<T>& source) {
    const MatrixView<const T> matrix = source.view;
    std::vector<T> memory = destination<T>(rowPanelsSize<T>(matrix.rows, matrix.columns));
    expectRowPanels(packRows<T>(matrix, memory.data()), matrix);
  });
}

TYPED_TEST(PanelsTest, PacksColumns) {
  using T = TypeParam;
  forAllSources<T>(kTileColumns<T>, [](const Source<T>& source) {
    const MatrixView<const T> matrix = source.view.transposed();
    std::vector<T> memory = destination<T>(columnPanelsSize<T>(matrix.rows, matrix.columns));
    const ColumnPanels<T> panels = packColumns<T>(matrix, memory.data());
    expectColumnPanels(panels, matrix);
  });
}

TYPED_TEST(PanelsTest, PacksRowsByPartsOfTheDepth) {
  using T = TypeParam;
  for (const Index rows : edges(kTileRows<T>)) {
    if (rows < 1) continue;
    const Source<T> source(rows, 11, Source<T>::Order::kRows);
    std::vector<T> memory = destination<T>(rowPanelsSize<T>(rows, 11));
    for (const auto& [begin, count] : {std::pair<Index, Index>{0, 4}, {4, 6}, {10, 1}}) {
      packRows<T>(source.view.columnRange(begin, count), memory.data() + begin * kTileRows<T>,
                  kTileRows<T> * 11);
    }
    expectRowPanels(rowPanels<T>(memory.data(), rows, 11), source.view);
  }
}

TYPED_TEST(PanelsTest, PacksColumnsIntoARangeOfDeeperPanels) {
  using T = TypeParam;
  constexpr Index kBefore = 2;
  constexpr Index kAfter = 3;
  forAllSources<T>(kTileColumns<T>, [](const Source<T>& source) {
    const MatrixView<const T> matrix = source.view.transposed();
    const Index depth = kBefore + matrix.rows + kAfter;
    std::vector<T> memory = destination<T>(columnPanelsSize<T>(depth, matrix.columns));
    const ColumnPanels<T> all = columnPanels(memory.data(), depth, matrix.columns);
    const ColumnPanels<T> range = all.depthRange(kBefore, matrix.rows);
    packColumns<T>(matrix, range);
    expectColumnPanels(range, matrix);
    for (Index panel = 0; panel < all.panels(); ++panel) {
      for (Index row = 0; row < depth; ++row) {
        if (row >= kBefore && row < kBefore + matrix.rows) continue;
        for (Index lane = 0; lane < kTileColumns<T>; ++lane) {
          ASSERT_EQ(all.panel(panel)[row * kTileColumns<T> + lane], static_cast<T>(kUntouched));
        }
      }
    }
  });
}

TYPED_TEST(PanelsTest, UnpacksColumnsToAnyStrides) {
  using T = TypeParam;
  forAllSources<T>(kTileColumns<T>, [](const Source<T>& source) {
    const MatrixView<const T> matrix = source.view.transposed();
    std::vector<T> memory = destination<T>(columnPanelsSize<T>(matrix.rows, matrix.columns));
    const ColumnPanels<T> panels = packColumns<T>(matrix, memory.data());
    // First a destination with the strides of the source, as for an image or for tokens; then a range of
    // deeper panels as the source.
    std::vector<T> result = destination<T>(static_cast<Index>(source.memory.size()));
    MatrixView<T> target{result.data(), matrix.rows, matrix.columns, matrix.rowStride, matrix.columnStride};
    unpackColumns<T>(panels, target);
    std::vector<T> expected = destination<T>(static_cast<Index>(source.memory.size()));
    for (Index row = 0; row < matrix.rows; ++row) {
      for (Index column = 0; column < matrix.columns; ++column) {
        expected[static_cast<std::size_t>(target.at(row, column) - result.data())] = *matrix.at(row, column);
      }
    }
    ASSERT_EQ(result, expected);
    if (matrix.rows < 3) return;
    std::fill(result.begin(), result.end(), static_cast<T>(kUntouched));
    unpackColumns<T>(panels.depthRange(1, matrix.rows - 2), target.rowRange(1, matrix.rows - 2));
    for (const Index row : {Index(0), matrix.rows - 1}) {
      for (Index column = 0; column < matrix.columns; ++column) {
        expected[static_cast<std::size_t>(target.at(row, column) - result.data())] =
            static_cast<T>(kUntouched);
      }
    }
    ASSERT_EQ(result, expected);
  });
}

TYPED_TEST(PanelsTest, RepacksColumnPanelsAsTheOtherOperand) {
  using T = TypeParam;
  for (const Index rows : edges(kTileColumns<T>)) {
    for (const Index columns : edges(kTileColumns<T>)) {
      SCOPED_TRACE(std::to_string(rows) + " × " + std::to_string(columns));
      const Source<T> source(rows, columns, Source<T>::Order::kRows);
      std::vector<T> memory = destination<T>(columnPanelsSize<T>(rows, columns));
      const ColumnPanels<const T> panels = packColumns<T>(source.view, memory.data());

      std::vector<T> transposed = destination<T>(columnPanelsSize<T>(columns, rows));
      const ColumnPanels<T> result = packTransposed<T>(panels, transposed.data());
      expectColumnPanels(result, source.view.transposed());

      std::vector<T> asRows = destination<T>(rowPanelsSize<T>(rows, columns));
      expectRowPanels(packRows<T>(panels, asRows.data()), source.view);
    }
  }
}

TYPED_TEST(PanelsTest, RangesMatchThePartsOfTheMatrix) {
  using T = TypeParam;
  const Index rows = 3 * kTileRows<T> + 1;
  const Index columns = 3 * kTileColumns<T> + 1;
  const Source<T> source(rows, columns, Source<T>::Order::kRows);
  std::vector<T> memory = destination<T>(rowPanelsSize<T>(rows, columns));
  const RowPanels<T> asRows = packRows<T>(source.view, memory.data());
  expectRowPanels(asRows.depthRange(3, 5), source.view.columnRange(3, 5));
  expectRowPanels(asRows.panelRange(1, 3), source.view.rowRange(kTileRows<T>, 2 * kTileRows<T>));
  expectRowPanels(asRows.panelRange(2, 4), source.view.rowRange(2 * kTileRows<T>, kTileRows<T> + 1));
  std::vector<T> more = destination<T>(columnPanelsSize<T>(rows, columns));
  const ColumnPanels<T> asColumns = packColumns<T>(source.view, more.data());
  expectColumnPanels(asColumns.depthRange(2, 4), source.view.rowRange(2, 4));
  expectColumnPanels(asColumns.panelRange(1, 2), source.view.columnRange(kTileColumns<T>, kTileColumns<T>));
  expectColumnPanels(asColumns.panelRange(2, 4),
                     source.view.columnRange(2 * kTileColumns<T>, kTileColumns<T> + 1));
}

}  // namespace cross_attention::test::linalg_panels_test
