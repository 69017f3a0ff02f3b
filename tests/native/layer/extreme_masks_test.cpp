#include <gtest/gtest.h>

#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/gradients.hpp"

/// Additive masks of the largest and lowest finite numbers, which some callers use for "ignore", with each
/// algorithm of the layer: folded attention, and flash attention with one tile of keys and with several.
namespace cross_attention::test::layer_extreme_masks_test {

namespace {

std::vector<CaseShape> calls() {
  CaseShape folded = foldingShape();
  CaseShape flash = folded;
  flash.numHeads = 23;
  CaseShape tiles = flash;
  tiles.keyBlock = 1;
  return {folded, flash, tiles};
}

/// One row of a mask over seven keys, and the probabilities that it gives if the scores are negligible.
template <class T>
struct Row {
  std::vector<T> mask;
  std::vector<double> weights;
};

template <class T>
std::vector<Row<T>> rows() {
  using Limits = std::numeric_limits<T>;
  const T low = Limits::lowest();
  const T ignore = -Limits::infinity();
  const T max = Limits::max();
  constexpr double kEqual = 1.0 / 7;
  return {
      {{low, low, low, low, low, low, low}, {kEqual, kEqual, kEqual, kEqual, kEqual, kEqual, kEqual}},
      {{max, max, max, max, max, max, max}, {kEqual, kEqual, kEqual, kEqual, kEqual, kEqual, kEqual}},
      {{ignore, ignore, ignore, ignore, ignore, ignore, ignore}, {0, 0, 0, 0, 0, 0, 0}},
      {{0, max, 0, ignore, low, max, 0}, {0, 0.5, 0, 0, 0, 0.5, 0}},
      {{low, low, ignore, ignore, ignore, ignore, ignore}, {0.5, 0.5, 0, 0, 0, 0, 0}},
      {{low, low, low, 0, low, low, ignore}, {0, 0, 0, 1, 0, 0, 0}},
  };
}

}  // namespace

template <class T>
class ExtremeMasksTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(ExtremeMasksTest, Formats);

TYPED_TEST(ExtremeMasksTest, OutputMapsAndGradientsMatchTheReference) {
  using T = TypeParam;
  constexpr double kEpsilon = std::numeric_limits<T>::epsilon();
  for (const CaseShape& shape : calls()) {
    for (const Row<T>& row : rows<T>()) {
      LayerCase<T> layerCase(shape);
      SCOPED_TRACE(shape.describe() + ", mask " + testing::PrintToString(row.mask));
      EXPECT_EQ(foldsContext(layerCase), shape.numHeads == 2);
      layerCase.maskTensor = Tensor<T>(Shape{1, 1, 1, 7});
      std::copy(row.mask.begin(), row.mask.end(), layerCase.maskTensor->begin());
      layerCase.mask = layer::Mask<T>::from(*layerCase.maskTensor);
      const ReferenceLayer reference = layerCase.reference();
      EXPECT_TRUE(
          isNear(layerCase.rows(layerCase.forward()), reference.output(), reference.tolerance(kEpsilon)));
      std::vector<double> weights;
      for (const double weight : row.weights) {
        weights.insert(weights.end(), static_cast<std::size_t>(shape.tokens()), weight);
      }
      const Tensor<T> maps = layerCase.maps(layer::MapHeads::kMean);
      EXPECT_TRUE(isNear(maps, weights, static_cast<double>(shape.numHeads) * kEpsilon));
      expectGradientsMatchReference(layerCase, gradientTolerance(reference, kEpsilon));
    }
  }
}

}  // namespace cross_attention::test::layer_extreme_masks_test
