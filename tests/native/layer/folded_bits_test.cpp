#include <gtest/gtest.h>

#include "support/comparison.hpp"
#include "support/folding.hpp"

/// Layers that fold the context into the weights: the same call gives the same bits, independent of what is
/// cached or packed and of the layout of the tokens. (threads_test checks the number of threads.)
namespace cross_attention::test::layer_folded_bits_test {

namespace {

CaseShape batchShape() {
  CaseShape shape = foldingShape();
  shape.batch = 2;
  shape.context = Shape{2, 7, 20};
  return shape;
}

template <class T>
std::string contextHits(const LayerCase<T>& layerCase) {
  for (const auto& [name, value] : layerCase.layer.diagnostics()) {
    if (name == "contextHits") return value;
  }
  return "";
}

/// Runs another image on the same layer, one that is too small to fold.
template <class T>
Tensor<T> smallForward(LayerCase<T>& layerCase) {
  Random random(8);
  const Tensor<T> input = normalTensor<T>(random, Shape{2, 3, layerCase.shape.queryDim});
  LayerCase<T> small(layerCase.shape);
  small.input = input;
  EXPECT_FALSE(foldsContext(small));
  return layerCase.layer.forward(input, layerCase.contextPointer());
}

}  // namespace

template <class T>
class FoldedBitsTest : public testing::Test {
 protected:
  LayerCase<T> layerCase_{batchShape()};
  void SetUp() override { ASSERT_TRUE(foldsContext(layerCase_)); }
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(FoldedBitsTest, Formats);

TYPED_TEST(FoldedBitsTest, TheSecondForwardAndTrainingGiveTheSameBits) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  const Tensor<T> expected = layerCase.forward();
  EXPECT_TRUE(isIdentical(layerCase.forward(), expected));
  EXPECT_EQ(contextHits(layerCase), "1");
  layerCase.layer.setTraining(true);
  EXPECT_TRUE(isIdentical(layerCase.forward(), expected));
  layerCase.layer.setTraining(false);
  EXPECT_TRUE(isIdentical(layerCase.forward(), expected));
  EXPECT_TRUE(isIdentical(layerCase.forward(), expected));
  EXPECT_EQ(contextHits(layerCase), "2");
}

TYPED_TEST(FoldedBitsTest, TheCachedContextServesMapsAndSmallImages) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  const Tensor<T> maps = layerCase.maps(layer::MapHeads::kAll);
  const Tensor<T> small = smallForward(layerCase);
  // The context that was projected for the small image has no folded form.
  const Tensor<T> output = layerCase.forward();
  EXPECT_EQ(contextHits(layerCase), "0");
  EXPECT_TRUE(isIdentical(layerCase.forward(), output));
  EXPECT_EQ(contextHits(layerCase), "1");
  EXPECT_TRUE(isIdentical(layerCase.maps(layer::MapHeads::kAll), maps));
  EXPECT_TRUE(isIdentical(smallForward(layerCase), small));
  EXPECT_EQ(contextHits(layerCase), "2");
  EXPECT_TRUE(isIdentical(layerCase.forward(), output));
  LayerCase<T> fresh(layerCase.shape);
  EXPECT_TRUE(isIdentical(fresh.forward(), output));
}

TYPED_TEST(FoldedBitsTest, CachedContextsDependOnContextMaskAndParameters) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  const auto expectSameAsNewLayer = [&layerCase] {
    LayerCase<T> fresh(layerCase.shape);
    fresh.context = layerCase.context;
    fresh.mask = layerCase.mask;
    fresh.layer.setParameters(layerCase.layer.parameters().values());
    ASSERT_TRUE(foldsContext(layerCase));
    EXPECT_TRUE(isIdentical(layerCase.forward(), fresh.forward()));
  };
  layerCase.forward();
  layerCase.context->data()[150] += T(0.5);
  expectSameAsNewLayer();
  Tensor<T> values = Tensor<T>::full(Shape{2, 7}, T(1));
  for (const Index key : {2, 3, 8}) {
    values.data()[key] = T(0);
    layerCase.mask = layer::Mask<T>::from(values);
    expectSameAsNewLayer();
  }
  layerCase.layer.setParameter("to_q.weight", Tensor<T>::full(Shape{46, 46}, T(0.125)));
  expectSameAsNewLayer();
  layerCase.forwardAndBackward();
  layerCase.layer.updateParameters(0.5);
  layerCase.layer.setTraining(false);
  expectSameAsNewLayer();
  EXPECT_EQ(contextHits(layerCase), "0");
}

TYPED_TEST(FoldedBitsTest, AKeyMaskOfOnesAndAMaskOfZerosDoNotChangeBits) {
  using T = TypeParam;
  for (const Shape& context : {Shape{7, 20}, Shape{2, 7, 20}}) {
    CaseShape shape = batchShape();
    shape.context = context;
    LayerCase<T> layerCase(shape);
    const Tensor<T> plain = layerCase.forward();
    for (const Tensor<T>& mask :
         {Tensor<T>::full(Shape{2, 7}, T(1)), Tensor<T>::full(Shape{1, 7}, T(1)),
          Tensor<T>::zeros(Shape{1, 1, 1, 7}), Tensor<T>::zeros(Shape{2, 2, 63, 7})}) {
      layerCase.mask = layer::Mask<T>::from(mask);
      ASSERT_TRUE(foldsContext(layerCase));
      EXPECT_TRUE(isIdentical(layerCase.forward(), plain));
    }
  }
}

TYPED_TEST(FoldedBitsTest, TokensGiveTheSameBitsAsAnImage) {
  using T = TypeParam;
  auto& image = this->layerCase_;
  CaseShape shape = image.shape;
  shape.layout = Layout::kBatches;
  LayerCase<T> tokens(shape);
  const auto copyRows = [&](const Tensor<T>& from, Tensor<T>& to) {
    const std::vector<double> rows = image.rows(from);
    std::transform(rows.begin(), rows.end(), to.begin(), [](double value) { return static_cast<T>(value); });
  };
  copyRows(image.input, tokens.input);
  copyRows(image.outputGradient, tokens.outputGradient);
  tokens.context = image.context;
  tokens.layer.setParameters(image.layer.parameters().values());
  EXPECT_TRUE(isIdentical(tokens.rows(tokens.forward()), image.rows(image.forward())));
  EXPECT_TRUE(isIdentical(tokens.rows(tokens.forwardAndBackward()), image.rows(image.forwardAndBackward())));
  EXPECT_TRUE(isIdentical(*tokens.layer.contextGradient(), *image.layer.contextGradient()));
  EXPECT_TRUE(isIdentical(tokens.parameterGradients(), image.parameterGradients()));
}

TYPED_TEST(FoldedBitsTest, TokenBlocksDoNotChangeBits) {
  using T = TypeParam;
  CaseShape shape = this->layerCase_.shape;
  const Tensor<T> expected = this->layerCase_.forward();
  for (const Index tokenBlock : {1, 40, 1000}) {
    shape.tokenBlock = tokenBlock;
    EXPECT_TRUE(isIdentical(LayerCase<T>(shape).forward(), expected)) << tokenBlock;
  }
}

TYPED_TEST(FoldedBitsTest, ASecondBackwardAddsToTheGradients) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  const Tensor<T> first = layerCase.forwardAndBackward();
  const Tensor<T> contextGradient = layerCase.layer.contextGradient()->clone();
  const std::vector<T> once = layerCase.parameterGradients();
  EXPECT_TRUE(isIdentical(layerCase.layer.backward(layerCase.outputGradient), first));
  EXPECT_TRUE(isIdentical(*layerCase.layer.contextGradient(), contextGradient));
  std::vector<double> twice;
  for (const T gradient : once) twice.push_back(2 * static_cast<double>(gradient));
  // The same terms, summed in another order.
  EXPECT_TRUE(
      isRelativelyNear(layerCase.parameterGradients(), twice, 32 * std::numeric_limits<T>::epsilon()));
  layerCase.layer.clearGradients();
  layerCase.layer.backward(layerCase.outputGradient);
  EXPECT_TRUE(isIdentical(layerCase.parameterGradients(), once));
}

TYPED_TEST(FoldedBitsTest, AlternatesWithBackwardsThatDoNotFold) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  LayerCase<T> fresh(layerCase.shape);
  const Tensor<T> expected = fresh.forwardAndBackward();
  layerCase.layer.setTraining(true);
  const Tensor<T> small = smallForward(layerCase);
  layerCase.layer.backward(small);
  layerCase.layer.clearGradients();
  EXPECT_TRUE(isIdentical(layerCase.forwardAndBackward(), expected));
  EXPECT_TRUE(isIdentical(layerCase.parameterGradients(), fresh.parameterGradients()));
  EXPECT_TRUE(isIdentical(*layerCase.layer.contextGradient(), *fresh.layer.contextGradient()));
}

}  // namespace cross_attention::test::layer_folded_bits_test
