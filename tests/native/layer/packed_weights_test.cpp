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

/// Heads of 13 channels, which do not fill whole panels.
constexpr Configuration kConfiguration = configurationOf(65, 21, 5, 3);

/// Expects the rows of the matrix, and zeros as the padding of the last panel.
template <class T>
void expectPanels(RowPanels<T> panels, MatrixView<const T> matrix) {
  ASSERT_EQ(panels.rows, matrix.rows);
  ASSERT_EQ(panels.depth, matrix.columns);
  for (Index row = 0; row < roundUp(matrix.rows, kTileRows<T>); ++row) {
    for (Index column = 0; column < matrix.columns; ++column) {
      const T packed = panels.panel(row / kTileRows<T>)[column * kTileRows<T> + row % kTileRows<T>];
      ASSERT_EQ(packed, row < matrix.rows ? *matrix.at(row, column) : T(0)) << row << ", " << column;
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
  Fixture<T> fixture_;
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(PackedWeightsTest, Formats);

TYPED_TEST(PackedWeightsTest, EachWeightContainsItsParameter) {
  for (const int threads : {1, 3}) {
    const ThreadsInScope scope(threads);
    Fixture<TypeParam> fixture;
    const auto query = fixture.matrix(ParameterId::kQuery);
    const auto output = fixture.matrix(ParameterId::kOutput);
    fixture.weights.require(
        {PackedWeight::kQuery, PackedWeight::kQueryTransposed, PackedWeight::kOutput,
         PackedWeight::kOutputTransposed, PackedWeight::kKeyPerHead, PackedWeight::kValuePerHead,
         PackedWeight::kQueryPerHead, PackedWeight::kOutputTransposedPerHead},
        fixture.workspace);
    expectPanels(fixture.weights[PackedWeight::kQuery], query);
    expectPanels(fixture.weights[PackedWeight::kQueryTransposed], query.transposed());
    expectPanels(fixture.weights[PackedWeight::kOutput], output);
    expectPanels(fixture.weights[PackedWeight::kOutputTransposed], output.transposed());
    fixture.expectHeads(PackedWeight::kKeyPerHead, fixture.matrix(ParameterId::kKey));
    fixture.expectHeads(PackedWeight::kValuePerHead, fixture.matrix(ParameterId::kValue));
    fixture.expectHeads(PackedWeight::kQueryPerHead, query);
    fixture.expectHeads(PackedWeight::kOutputTransposedPerHead, output.transposed());
  }
}

TYPED_TEST(PackedWeightsTest, PacksAWeightOnceWhenItIsFirstRequired) {
  using T = TypeParam;
  Fixture<T>& fixture = this->fixture_;
  EXPECT_EQ(fixture.weights.bytes(), 0u);
  const std::size_t before = memory::bytesInUse();
  fixture.weights.require({PackedWeight::kQuery}, fixture.workspace);
  const auto ofQuery = static_cast<std::size_t>(linalg::rowPanelsSize<T>(65, 65)) * sizeof(T);
  EXPECT_EQ(fixture.weights.bytes(), ofQuery);
  EXPECT_EQ(memory::bytesInUse(), before + ofQuery);
  const T* data = fixture.weights[PackedWeight::kQuery].data;
  fixture.weights.require({PackedWeight::kKeyPerHead, PackedWeight::kQuery}, fixture.workspace);
  EXPECT_EQ(fixture.weights[PackedWeight::kQuery].data, data);
  const auto ofKeys = static_cast<std::size_t>(5 * linalg::rowPanelsSize<T>(13, 21)) * sizeof(T);
  EXPECT_EQ(fixture.weights.bytes(), ofQuery + ofKeys);
  fixture.expectHeads(PackedWeight::kKeyPerHead, fixture.matrix(ParameterId::kKey));
}

TYPED_TEST(PackedWeightsTest, HasTheVersionOfItsParameters) {
  Fixture<TypeParam>& fixture = this->fixture_;
  EXPECT_EQ(fixture.weights.version(), fixture.parameters.version());
  fixture.parameters.touch();
  EXPECT_NE(fixture.weights.version(), fixture.parameters.version());
}

TYPED_TEST(PackedWeightsTest, ALayerPacksOnlyTheWeightsOfItsCalls) {
  using T = TypeParam;
  LayerCase<T> layerCase((CaseShape()));
  const auto packedBytes = [&layerCase] {
    for (const auto& [name, value] : layerCase.layer.diagnostics()) {
      if (name == "packedWeightBytes") return std::stol(value);
    }
    return -1L;
  };
  EXPECT_EQ(packedBytes(), 0);
  layerCase.forward();
  const long ofForward = packedBytes();
  EXPECT_GT(ofForward, 0);
  layerCase.forward();
  EXPECT_EQ(packedBytes(), ofForward);
  layerCase.forwardAndBackward();
  EXPECT_GT(packedBytes(), ofForward);
  layerCase.layer.updateParameters(0.1);
  EXPECT_EQ(packedBytes(), 0);
}

}  // namespace cross_attention::test::layer_packed_weights_test
