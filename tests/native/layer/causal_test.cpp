#include <gtest/gtest.h>

#include <limits>

#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/gradients.hpp"

/// Causal attention against the same call with a matrix of 0 and -infinity.
namespace cross_attention::test::layer_causal_test {

namespace {

/// Returns the call with a matrix instead of `causal`. Its key mask, if any, becomes part of the matrix.
template <class T>
layer::Mask<T> matrixMask(const LayerCase<T>& layerCase) {
  const CaseShape& shape = layerCase.shape;
  const Index tokens = shape.tokens();
  const Index length = shape.length();
  Tensor<T> matrix(Shape{shape.batch, shape.numHeads, tokens, length});
  T* value = matrix.data();
  for (Index row = 0; row < shape.batch; ++row) {
    for (Index head = 0; head < shape.numHeads; ++head) {
      for (Index token = 0; token < tokens; ++token) {
        for (Index key = 0; key < length; ++key) {
          double given = 0;
          if (layerCase.maskTensor) given = maskValue(*layerCase.maskTensor, row, head, token, key);
          *value++ =
              key <= token + length - tokens ? static_cast<T>(given) : -std::numeric_limits<T>::infinity();
        }
      }
    }
  }
  return layer::Mask<T>::from(matrix);
}

std::vector<CaseShape> shapes() {
  std::vector<CaseShape> all;
  CaseShape shape;
  shape.batch = 2;
  shape.layout = Layout::kBatches;
  // Self-attention, more tokens than keys (the first ones attend to nothing), and fewer.
  for (const auto& [height, width, length] : {std::array<Index, 3>{5, 9, 45}, {6, 7, 25}, {3, 4, 31}}) {
    shape.height = height;
    shape.width = width;
    shape.context = length == 45 ? std::nullopt : std::optional<Shape>(Shape{2, length, 6});
    for (const std::optional<Shape>& mask : {std::optional<Shape>(), std::optional<Shape>(Shape{2, length}),
                                             std::optional<Shape>(Shape{1, 2, 1, length})}) {
      shape.mask = mask;
      for (const Index keyBlock : {0, 6, 13}) {
        shape.keyBlock = keyBlock;
        shape.tokenBlock = keyBlock;
        all.push_back(shape);
      }
    }
  }
  return all;
}

}  // namespace

template <class T>
class CausalTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(CausalTest, Formats);

TYPED_TEST(CausalTest, EqualsAMatrixOfMinusInfinity) {
  using T = TypeParam;
  const double tolerance = 200 * std::numeric_limits<T>::epsilon();
  for (const CaseShape& shape : shapes()) {
    SCOPED_TRACE(shape.describe());
    LayerCase<T> causal(shape);
    LayerCase<T> matrix(shape);
    matrix.mask = matrixMask(causal);
    causal.mask.causal = true;
    ASSERT_FALSE(foldsContext(causal));
    ASSERT_TRUE(isNear(causal.forward(), matrix.forward(), tolerance));
    for (const auto heads : {layer::MapHeads::kAll, layer::MapHeads::kMean}) {
      ASSERT_TRUE(isNear(causal.maps(heads), matrix.maps(heads), tolerance));
    }
    const Tensor<T> inputGradient = causal.forwardAndBackward();
    const Tensor<T> expected = matrix.forwardAndBackward();
    ASSERT_TRUE(isNear(inputGradient, expected, tolerance * (1 + largestMagnitude(expected))));
    const std::vector<T> gradients = matrix.parameterGradients();
    ASSERT_TRUE(
        isNear(causal.parameterGradients(), gradients, tolerance * (1 + largestMagnitude(gradients))));
    if (!causal.context) continue;
    ASSERT_TRUE(isNear(*causal.layer.contextGradient(), *matrix.layer.contextGradient(),
                       tolerance * (1 + largestMagnitude(*matrix.layer.contextGradient()))));
  }
}

}  // namespace cross_attention::test::layer_causal_test
