#include <gtest/gtest.h>

#include <map>
#include <string>

#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_state_test {

namespace {

template <class T>
std::map<std::string, std::string> diagnosticsOf(const LayerCase<T>& layerCase) {
  const layer::Diagnostics all = layerCase.layer.diagnostics();
  return {all.begin(), all.end()};
}

template <class T>
int contextHits(const LayerCase<T>& layerCase) {
  return std::stoi(diagnosticsOf(layerCase).at("contextHits"));
}

template <class T>
testing::AssertionResult rejectsBackward(LayerCase<T>& layerCase) {
  const std::vector<T> before = layerCase.parameterGradients();
  const testing::AssertionResult result =
      failsWith(ErrorCode::kArgument, [&] { layerCase.layer.backward(layerCase.outputGradient); });
  if (!result) return result;
  return isIdentical(layerCase.parameterGradients(), before);
}

}  // namespace

template <class T>
class StateTest : public testing::Test {
 protected:
  LayerCase<T> layerCase_{CaseShape()};
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(StateTest, Formats);

TYPED_TEST(StateTest, BackwardRequiresATrainingForward) {
  auto& layerCase = this->layerCase_;
  EXPECT_TRUE(rejectsBackward(layerCase));
  layerCase.forward();
  EXPECT_TRUE(rejectsBackward(layerCase));
  layerCase.maps(layer::MapHeads::kMean);
  EXPECT_TRUE(rejectsBackward(layerCase));
  layerCase.layer.setTraining(true);
  EXPECT_TRUE(rejectsBackward(layerCase));
  layerCase.forward();
  EXPECT_NO_THROW(layerCase.layer.backward(layerCase.outputGradient));
}

TYPED_TEST(StateTest, BackwardMayBeCalledAgainAndAddsToTheGradients) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  const Tensor<T> first = layerCase.forwardAndBackward();
  const std::vector<T> once = layerCase.parameterGradients();
  EXPECT_TRUE(isIdentical(layerCase.layer.backward(layerCase.outputGradient), first));
  std::vector<double> twice;
  for (const T gradient : once) twice.push_back(2 * static_cast<double>(gradient));
  // The same terms, summed in another order.
  EXPECT_TRUE(
      isRelativelyNear(layerCase.parameterGradients(), twice, 32 * std::numeric_limits<T>::epsilon()));
  layerCase.layer.clearGradients();
  for (const T gradient : layerCase.parameterGradients()) ASSERT_EQ(gradient, T(0));
  layerCase.layer.backward(layerCase.outputGradient);
  EXPECT_TRUE(isIdentical(layerCase.parameterGradients(), once));
}

TYPED_TEST(StateTest, BackwardUsesTheLastTrainingForward) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  const Tensor<T> expected = layerCase.forwardAndBackward();
  // A call without training, and maps, have no effect.
  layerCase.layer.setTraining(false);
  Random random(5);
  layerCase.layer.forward(normalTensor<T>(random, Shape{4, 8}), layerCase.contextPointer());
  layerCase.layer.attentionMaps(normalTensor<T>(random, Shape{4, 8}), layerCase.contextPointer(), {},
                                layer::MapHeads::kAll);
  EXPECT_TRUE(isIdentical(layerCase.layer.backward(layerCase.outputGradient), expected));
  // Another training forward pass replaces it.
  layerCase.layer.setTraining(true);
  layerCase.layer.forward(normalTensor<T>(random, Shape{4, 8}), layerCase.contextPointer());
  EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { layerCase.layer.backward(layerCase.outputGradient); }));
}

TYPED_TEST(StateTest, TheOutputGradientMustHaveTheShapeOfTheInput) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  layerCase.forwardAndBackward();
  const std::vector<T> before = layerCase.parameterGradients();
  for (const Shape& shape : {Shape{8, 3, 5}, Shape{1, 8, 5, 3}, Shape{1, 15, 8}, Shape{120}, Shape{}}) {
    EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { layerCase.layer.backward(Tensor<T>::zeros(shape)); }));
  }
  EXPECT_TRUE(isIdentical(layerCase.parameterGradients(), before));
}

TYPED_TEST(StateTest, ParameterChangesMakeActivationsStale) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  const std::vector<std::function<void()>> changes = {
      [&] { layerCase.layer.setParameters(layerCase.layer.parameters().values()); },
      [&] { layerCase.layer.setParameter("to_out.0.bias", Tensor<T>::zeros(Shape{8})); },
      [&] { layerCase.layer.updateParameters(0.001); },
  };
  for (const auto& change : changes) {
    layerCase.forwardAndBackward();
    change();
    EXPECT_TRUE(rejectsBackward(layerCase));
    layerCase.forward();
    EXPECT_NO_THROW(layerCase.layer.backward(layerCase.outputGradient));
    layerCase.layer.clearGradients();
  }
}

TYPED_TEST(StateTest, ResetStateFreesActivationsContextGradientAndCachedContext) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  layerCase.forward();
  layerCase.forwardAndBackward();
  const std::vector<T> gradients = layerCase.parameterGradients();
  const std::vector<T> parameters(layerCase.layer.parameters().values().begin(),
                                  layerCase.layer.parameters().values().end());
  EXPECT_TRUE(layerCase.layer.contextGradient());
  layerCase.layer.setTraining(false);
  layerCase.forward();
  layerCase.layer.resetState();
  EXPECT_FALSE(layerCase.layer.contextGradient());
  EXPECT_TRUE(rejectsBackward(layerCase));
  EXPECT_TRUE(isIdentical(layerCase.layer.parameters().values(), parameters));
  EXPECT_TRUE(isIdentical(layerCase.parameterGradients(), gradients));
  const int hits = contextHits(layerCase);
  layerCase.forward();
  EXPECT_EQ(contextHits(layerCase), hits);
}

TYPED_TEST(StateTest, ContextsAreCachedByContent) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  const Tensor<T> expected = layerCase.forward();
  EXPECT_EQ(contextHits(layerCase), 0);
  EXPECT_TRUE(isIdentical(layerCase.forward(), expected));
  EXPECT_EQ(contextHits(layerCase), 1);
  // The same values in another tensor.
  const Tensor<T> same = layerCase.context->clone();
  EXPECT_TRUE(isIdentical(layerCase.layer.forward(layerCase.input, &same), expected));
  EXPECT_EQ(contextHits(layerCase), 2);
  // A value that is changed in place, as by a view in JavaScript.
  layerCase.context->data()[11] += T(0.5);
  const Tensor<T> changed = layerCase.forward();
  EXPECT_EQ(contextHits(layerCase), 2);
  EXPECT_FALSE(isIdentical(changed, expected));
  LayerCase<T> fresh(layerCase.shape);
  fresh.context = layerCase.context;
  EXPECT_TRUE(isIdentical(changed, fresh.forward()));
  // The same values with another shape are another context.
  const Tensor<T> batched = layerCase.context->reshaped({1, 7, 6});
  EXPECT_TRUE(isIdentical(layerCase.layer.forward(layerCase.input, &batched), changed));
}

TYPED_TEST(StateTest, CachedContextsDependOnMaskAndParameters) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  layerCase.forward();
  Tensor<T> values = Tensor<T>::full(Shape{1, 7}, T(1));
  values.data()[2] = T(0);
  layerCase.mask = layer::Mask<T>::from(values);
  layerCase.maskTensor = values;
  const double tolerance = layerCase.reference().tolerance(std::numeric_limits<T>::epsilon());
  EXPECT_TRUE(isNear(layerCase.rows(layerCase.forward()), layerCase.reference().output(), tolerance));
  EXPECT_EQ(contextHits(layerCase), 0);
  EXPECT_TRUE(isNear(layerCase.rows(layerCase.forward()), layerCase.reference().output(), tolerance));
  EXPECT_EQ(contextHits(layerCase), 1);
  // Another mask that ignores the same number of keys.
  values.data()[2] = T(1);
  values.data()[3] = T(0);
  layerCase.mask = layer::Mask<T>::from(values);
  layerCase.maskTensor = values;
  EXPECT_TRUE(isNear(layerCase.rows(layerCase.forward()), layerCase.reference().output(), tolerance));
  EXPECT_EQ(contextHits(layerCase), 1);
  const Tensor<T> weight = Tensor<T>::full(Shape{8, 6}, T(0.25));
  layerCase.layer.setParameter("to_v.weight", weight);
  EXPECT_TRUE(isNear(layerCase.rows(layerCase.forward()), layerCase.reference().output(), tolerance));
  EXPECT_EQ(contextHits(layerCase), 1);
}

TYPED_TEST(StateTest, TheCachedContextServesMapsButNotTraining) {
  auto& layerCase = this->layerCase_;
  const auto maps = layerCase.maps(layer::MapHeads::kAll);
  layerCase.forward();
  EXPECT_TRUE(isIdentical(layerCase.maps(layer::MapHeads::kAll), maps));
  // The backward pass requires keys and values in two forms, which a training forward pass computes itself.
  const auto gradient = layerCase.forwardAndBackward();
  LayerCase<TypeParam> fresh(layerCase.shape);
  EXPECT_TRUE(isIdentical(gradient, fresh.forwardAndBackward()));
}

TYPED_TEST(StateTest, TheContextGradientRemainsUntilTheNextBackward) {
  using T = TypeParam;
  auto& layerCase = this->layerCase_;
  EXPECT_FALSE(layerCase.layer.contextGradient());
  layerCase.forwardAndBackward();
  const Tensor<T> first = *layerCase.layer.contextGradient();
  const Tensor<T> copy = first.clone();
  layerCase.layer.setTraining(false);
  layerCase.forward();
  EXPECT_TRUE(isIdentical(*layerCase.layer.contextGradient(), copy));
  layerCase.layer.setTraining(true);
  layerCase.forward();
  layerCase.layer.backward(Tensor<T>::zeros(layerCase.input.shape()));
  EXPECT_TRUE(isIdentical(*layerCase.layer.contextGradient(), std::vector<T>(42, T(0))));
  EXPECT_TRUE(isIdentical(first, copy));
}

TYPED_TEST(StateTest, SelfAttentionHasNoContextGradient) {
  CaseShape shape;
  shape.context.reset();
  LayerCase<TypeParam> layerCase(shape);
  layerCase.forwardAndBackward();
  EXPECT_FALSE(layerCase.layer.contextGradient());
}

TYPED_TEST(StateTest, DiagnosticsDescribeLayerAndPasses) {
  auto& layerCase = this->layerCase_;
  auto diagnostics = diagnosticsOf(layerCase);
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"dtype", sizeof(TypeParam) == 4 ? "float32" : "float64"},
                                          {"queryDim", "8"},
                                          {"contextDim", "6"},
                                          {"numHeads", "2"},
                                          {"headDim", "4"},
                                          {"threads", "1"},
                                          {"training", "false"},
                                          {"contextHits", "0"}}) {
    EXPECT_EQ(diagnostics.at(name), value) << name;
  }
  EXPECT_EQ(diagnostics.count("forwardFlops"), 0u);
  layerCase.forwardAndBackward();
  diagnostics = diagnosticsOf(layerCase);
  // 2·(2·N·C² + 2·L·D·C + 2·N·L·C)
  constexpr int kForward = 2 * (2 * 15 * 8 * 8 + 2 * 7 * 6 * 8 + 2 * 15 * 7 * 8);
  EXPECT_EQ(diagnostics.at("forwardFlops"), std::to_string(kForward));
  EXPECT_GE(std::stod(diagnostics.at("forwardMilliseconds")), 0);
  EXPECT_GT(std::stod(diagnostics.at("backwardFlops")), kForward);
  EXPECT_GT(std::stod(diagnostics.at("backwardPeakBytes")), 0);
  EXPECT_NE(diagnostics.at("forwardShapes").find("[1, 8, 3, 5]"), std::string::npos);
  EXPECT_GT(std::stod(diagnostics.at("activationBytes")), 0);
  layerCase.layer.resetState();
  EXPECT_EQ(diagnosticsOf(layerCase).at("activationBytes"), "0");
}

TYPED_TEST(StateTest, DiagnosticsCountTheFlopsOfAFoldedCall) {
  LayerCase<TypeParam> layerCase(foldingShape());
  ASSERT_TRUE(foldsContext(layerCase));
  layerCase.forwardAndBackward();
  auto diagnostics = diagnosticsOf(layerCase);
  // Keys and values of seven rows of 20 channels, folded with two weights of 46², then 63 tokens by 2 heads
  // of 7 keys.
  constexpr int kProjected = 4 * 7 * 20 * 46;
  constexpr int kFolded = 4 * 7 * 46 * 46;
  constexpr int kTokens = 4 * 63 * 2 * 7 * 46;
  EXPECT_EQ(diagnostics.at("forwardFlops"), std::to_string(kProjected + kFolded + kTokens));
  // Folded: five products of tokens by keys instead of two, and twice those that computed the keys. Plain:
  // five products of tokens by channels, and six of tokens by keys with the channels of each head.
  constexpr int kFoldedBackward = 2 * kProjected + 2 * kFolded + kTokens / 2 * 5;
  constexpr int kPlainBackward = 2 * kProjected + 10 * 63 * 46 * 46 + 12 * 63 * 7 * 46;
  EXPECT_EQ(diagnostics.at("backwardFlops"),
            std::to_string(layer::kFoldsGradients<TypeParam> ? kFoldedBackward : kPlainBackward));
  layerCase.layer.setTraining(false);
  layerCase.forward();
  layerCase.forward();
  EXPECT_EQ(diagnosticsOf(layerCase).at("forwardFlops"), std::to_string(kTokens));
}

}  // namespace cross_attention::test::layer_state_test
