#include <gtest/gtest.h>

#include "support/comparison.hpp"
#include "support/folding.hpp"

/// Layers whose context is folded with the weights: the same call gives the same bits, whatever is cached or packed
/// already, in whichever layout the tokens lie. (For any number of threads: threads_test.)
namespace cross_attention::test::layer_folded_bits_test {

namespace {

CaseShape batchShape() {
  CaseShape shape = foldingShape();
  shape.batch = 2;
  shape.context = Shape{2, 7, 20};
  return shape;
}

template <class T>
std::string contextHits(const LayerCase<T>& one) {
  for (const auto& [name, value] : one.layer.diagnostics()) {
    if (name == "contextHits") return value;
  }
  return "";
}

/// Another image on the same layer, too small to fold.
template <class T>
Tensor<T> smallForward(LayerCase<T>& one) {
  Random random(8);
  const Tensor<T> input = normalTensor<T>(random, Shape{2, 3, one.shape.queryDim});
  LayerCase<T> small(one.shape);
  small.input = input;
  EXPECT_FALSE(foldsContext(small));
  return one.layer.forward(input, one.contextPointer());
}

}  // namespace

template <class T>
class FoldedBitsTest : public testing::Test {
 protected:
  LayerCase<T> one_{batchShape()};
  void SetUp() override { ASSERT_TRUE(foldsContext(one_)); }
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(FoldedBitsTest, Formats);

TYPED_TEST(FoldedBitsTest, ForwardAgainAndTraining) {
  using T = TypeParam;
  auto& one = this->one_;
  const Tensor<T> expected = one.forward();
  EXPECT_TRUE(isIdentical(one.forward(), expected));
  EXPECT_EQ(contextHits(one), "1");
  one.layer.setTraining(true);
  EXPECT_TRUE(isIdentical(one.forward(), expected));
  one.layer.setTraining(false);
  EXPECT_TRUE(isIdentical(one.forward(), expected));
  EXPECT_TRUE(isIdentical(one.forward(), expected));
  EXPECT_EQ(contextHits(one), "2");
}

TYPED_TEST(FoldedBitsTest, TheCachedContextServesMapsAndSmallImages) {
  using T = TypeParam;
  auto& one = this->one_;
  const Tensor<T> maps = one.maps(layer::MapHeads::kAll);
  const Tensor<T> small = smallForward(one);
  // The one that was projected for the small image has nothing folded.
  const Tensor<T> output = one.forward();
  EXPECT_EQ(contextHits(one), "0");
  EXPECT_TRUE(isIdentical(one.forward(), output));
  EXPECT_EQ(contextHits(one), "1");
  EXPECT_TRUE(isIdentical(one.maps(layer::MapHeads::kAll), maps));
  EXPECT_TRUE(isIdentical(smallForward(one), small));
  EXPECT_EQ(contextHits(one), "2");
  EXPECT_TRUE(isIdentical(one.forward(), output));
  LayerCase<T> fresh(one.shape);
  EXPECT_TRUE(isIdentical(fresh.forward(), output));
}

TYPED_TEST(FoldedBitsTest, CachedContextsFollowContextMaskAndParameters) {
  using T = TypeParam;
  auto& one = this->one_;
  const auto expectLikeFresh = [&one] {
    LayerCase<T> fresh(one.shape);
    fresh.context = one.context;
    fresh.mask = one.mask;
    fresh.layer.setParameters(one.layer.parameters().values());
    ASSERT_TRUE(foldsContext(one));
    EXPECT_TRUE(isIdentical(one.forward(), fresh.forward()));
  };
  one.forward();
  one.context->data()[150] += T(0.5);
  expectLikeFresh();
  Tensor<T> values = Tensor<T>::full(Shape{2, 7}, T(1));
  for (const Index key : {2, 3, 8}) {
    values.data()[key] = T(0);
    one.mask = layer::Mask<T>::from(values);
    expectLikeFresh();
  }
  one.layer.setParameter("to_q.weight", Tensor<T>::full(Shape{46, 46}, T(0.125)));
  expectLikeFresh();
  one.forwardAndBackward();
  one.layer.updateParameters(0.5);
  one.layer.setTraining(false);
  expectLikeFresh();
  EXPECT_EQ(contextHits(one), "0");
}

TYPED_TEST(FoldedBitsTest, AKeyMaskOfOnesAndAMaskOfZerosChangeNothing) {
  using T = TypeParam;
  for (const Shape& context : {Shape{7, 20}, Shape{2, 7, 20}}) {
    CaseShape shape = batchShape();
    shape.context = context;
    LayerCase<T> one(shape);
    const Tensor<T> plain = one.forward();
    for (const Tensor<T>& mask :
         {Tensor<T>::full(Shape{2, 7}, T(1)), Tensor<T>::full(Shape{1, 7}, T(1)),
          Tensor<T>::zeros(Shape{1, 1, 1, 7}), Tensor<T>::zeros(Shape{2, 2, 63, 7})}) {
      one.mask = layer::Mask<T>::from(mask);
      ASSERT_TRUE(foldsContext(one));
      EXPECT_TRUE(isIdentical(one.forward(), plain));
    }
  }
}

TYPED_TEST(FoldedBitsTest, TokensGiveTheSameAsAnImage) {
  using T = TypeParam;
  auto& image = this->one_;
  CaseShape shape = image.shape;
  shape.layout = Layout::kBatches;
  LayerCase<T> tokens(shape);
  const auto copyRows = [&](const Tensor<T>& from, Tensor<T>& to) {
    const std::vector<double> rows = image.rows(from);
    std::transform(rows.begin(), rows.end(), to.begin(),
                   [](double value) { return static_cast<T>(value); });
  };
  copyRows(image.input, tokens.input);
  copyRows(image.outputGradient, tokens.outputGradient);
  tokens.context = image.context;
  tokens.layer.setParameters(image.layer.parameters().values());
  EXPECT_TRUE(isIdentical(tokens.rows(tokens.forward()), image.rows(image.forward())));
  EXPECT_TRUE(
      isIdentical(tokens.rows(tokens.forwardAndBackward()), image.rows(image.forwardAndBackward())));
  EXPECT_TRUE(isIdentical(*tokens.layer.contextGradient(), *image.layer.contextGradient()));
  EXPECT_TRUE(isIdentical(tokens.parameterGradients(), image.parameterGradients()));
}

TYPED_TEST(FoldedBitsTest, TokenBlocksChangeNothing) {
  using T = TypeParam;
  CaseShape shape = this->one_.shape;
  const Tensor<T> expected = this->one_.forward();
  for (const Index tokenBlock : {1, 40, 1000}) {
    shape.tokenBlock = tokenBlock;
    EXPECT_TRUE(isIdentical(LayerCase<T>(shape).forward(), expected)) << tokenBlock;
  }
}

TYPED_TEST(FoldedBitsTest, BackwardAgainAddsUp) {
  using T = TypeParam;
  auto& one = this->one_;
  const Tensor<T> first = one.forwardAndBackward();
  const Tensor<T> contextGradient = one.layer.contextGradient()->clone();
  const std::vector<T> once = one.parameterGradients();
  EXPECT_TRUE(isIdentical(one.layer.backward(one.outputGradient), first));
  EXPECT_TRUE(isIdentical(*one.layer.contextGradient(), contextGradient));
  std::vector<double> twice;
  for (const T gradient : once) twice.push_back(2 * static_cast<double>(gradient));
  // Sums of the same terms in another order.
  EXPECT_TRUE(
      isRelativelyNear(one.parameterGradients(), twice, 32 * std::numeric_limits<T>::epsilon()));
  one.layer.clearGradients();
  one.layer.backward(one.outputGradient);
  EXPECT_TRUE(isIdentical(one.parameterGradients(), once));
}

TYPED_TEST(FoldedBitsTest, AlternatingWithBackwardsThatDoNotFold) {
  using T = TypeParam;
  auto& one = this->one_;
  LayerCase<T> fresh(one.shape);
  const Tensor<T> expected = fresh.forwardAndBackward();
  one.layer.setTraining(true);
  const Tensor<T> small = smallForward(one);
  one.layer.backward(small);
  one.layer.clearGradients();
  EXPECT_TRUE(isIdentical(one.forwardAndBackward(), expected));
  EXPECT_TRUE(isIdentical(one.parameterGradients(), fresh.parameterGradients()));
  EXPECT_TRUE(isIdentical(*one.layer.contextGradient(), *fresh.layer.contextGradient()));
}

}  // namespace cross_attention::test::layer_folded_bits_test
