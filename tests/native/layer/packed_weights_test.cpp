#include "layer/packed_weights.hpp"

#include <gtest/gtest.h>

#include "support/comparison.hpp"
#include "support/layer_case.hpp"
#include "support/threads.hpp"

namespace cross_attention::test::layer_packed_weights_test {

namespace {

using namespace layer;
using linalg::kTileRows;
using linalg::MatrixView;
using linalg::RowPanels;

/// Heads of 13 channels: no whole number of panels.
constexpr Configuration kConfiguration = configurationOf(65, 21, 5, 3);

/// The rows and the zeros that fill up the last panel.
template <class T>
void expectPanels(RowPanels<T> panels, MatrixView<const T> matrix) {
  ASSERT_EQ(panels.rows, matrix.rows);
  ASSERT_EQ(panels.depth, matrix.columns);
  for (Index row = 0; row < roundUp(matrix.rows, kTileRows<T>); ++row) {
    for (Index column = 0; column < matrix.columns; ++column) {
      const T packed = panels.panel(row / kTileRows<T>)[column * kTileRows<T> + row % kTileRows<T>];
      ASSERT_EQ(packed, row < matrix.rows ? *matrix.at(row, column) : T(0))
          << row << ", " << column;
    }
  }
}

template <class T>
struct Fixture {
  Parameters<T> parameters{kConfiguration};
  PackedWeights<T> weights{kConfiguration, parameters};
  std::shared_ptr<Workspace> workspace = Workspace::shared();

  MatrixView<const T> matrix(ParameterId id) const {
    const Shape shape = parameters.shape(id);
    return linalg::rowMajor(parameters.values(id).data(), shape[0], shape[1]);
  }
  void expectHeads(PackedWeight weight, MatrixView<const T> all) const {
    for (Index head = 0; head < kConfiguration.numHeads; ++head) {
      expectPanels<T>(weights.ofHead(weight, head),
                      all.rowRange(head * kConfiguration.headDim(), kConfiguration.headDim()));
    }
  }
};

}  // namespace

template <class T>
class PackedWeightsTest : public testing::Test {
 protected:
  Fixture<T> one_;
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(PackedWeightsTest, Formats);

TYPED_TEST(PackedWeightsTest, EachKindHoldsItsParameter) {
  for (const int threads : {1, 3}) {
    const ThreadsInScope scope(threads);
    Fixture<TypeParam> one;
    const auto query = one.matrix(ParameterId::kQuery);
    const auto output = one.matrix(ParameterId::kOutput);
    one.weights.require(
        {PackedWeight::kQuery, PackedWeight::kQueryTransposed, PackedWeight::kOutput,
         PackedWeight::kOutputTransposed, PackedWeight::kKeyOfHeads, PackedWeight::kValueOfHeads,
         PackedWeight::kQueryOfHeads, PackedWeight::kOutputTransposedOfHeads},
        one.workspace);
    expectPanels(one.weights[PackedWeight::kQuery], query);
    expectPanels(one.weights[PackedWeight::kQueryTransposed], query.transposed());
    expectPanels(one.weights[PackedWeight::kOutput], output);
    expectPanels(one.weights[PackedWeight::kOutputTransposed], output.transposed());
    one.expectHeads(PackedWeight::kKeyOfHeads, one.matrix(ParameterId::kKey));
    one.expectHeads(PackedWeight::kValueOfHeads, one.matrix(ParameterId::kValue));
    one.expectHeads(PackedWeight::kQueryOfHeads, query);
    one.expectHeads(PackedWeight::kOutputTransposedOfHeads, output.transposed());
  }
}

TYPED_TEST(PackedWeightsTest, IsPackedWhenFirstRequiredAndOnce) {
  using T = TypeParam;
  Fixture<T>& one = this->one_;
  EXPECT_EQ(one.weights.bytes(), 0u);
  const std::size_t before = memory::bytesInUse();
  one.weights.require({PackedWeight::kQuery}, one.workspace);
  const auto ofQuery = static_cast<std::size_t>(linalg::rowPanelsSize<T>(65, 65)) * sizeof(T);
  EXPECT_EQ(one.weights.bytes(), ofQuery);
  EXPECT_EQ(memory::bytesInUse(), before + ofQuery);
  const T* data = one.weights[PackedWeight::kQuery].data;
  one.weights.require({PackedWeight::kKeyOfHeads, PackedWeight::kQuery}, one.workspace);
  EXPECT_EQ(one.weights[PackedWeight::kQuery].data, data);
  const auto ofKeys = static_cast<std::size_t>(5 * linalg::rowPanelsSize<T>(13, 21)) * sizeof(T);
  EXPECT_EQ(one.weights.bytes(), ofQuery + ofKeys);
  one.expectHeads(PackedWeight::kKeyOfHeads, one.matrix(ParameterId::kKey));
}

TYPED_TEST(PackedWeightsTest, IsOfTheVersionItWasMadeFor) {
  Fixture<TypeParam>& one = this->one_;
  EXPECT_EQ(one.weights.version(), one.parameters.version());
  one.parameters.touch();
  EXPECT_NE(one.weights.version(), one.parameters.version());
}

TYPED_TEST(PackedWeightsTest, ALayerPacksOnlyWhatItsCallsTake) {
  using T = TypeParam;
  LayerCase<T> one((CaseShape()));
  const auto packedBytes = [&one] {
    for (const auto& [name, value] : one.layer.diagnostics()) {
      if (name == "packedWeightBytes") return std::stol(value);
    }
    return -1L;
  };
  EXPECT_EQ(packedBytes(), 0);
  one.forward();
  const long ofForward = packedBytes();
  EXPECT_GT(ofForward, 0);
  one.forward();
  EXPECT_EQ(packedBytes(), ofForward);
  one.forwardAndBackward();
  EXPECT_GT(packedBytes(), ofForward);
  one.layer.updateParameters(0.1);
  EXPECT_EQ(packedBytes(), 0);
}

}  // namespace cross_attention::test::layer_packed_weights_test
