#include <gtest/gtest.h>

#include <map>
#include <string>

#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_state_test {

namespace {

template <class T>
std::map<std::string, std::string> diagnosticsOf(const LayerCase<T>& one) {
  const layer::Diagnostics all = one.layer.diagnostics();
  return {all.begin(), all.end()};
}

template <class T>
int contextHits(const LayerCase<T>& one) {
  return std::stoi(diagnosticsOf(one).at("contextHits"));
}

template <class T>
testing::AssertionResult refusesBackward(LayerCase<T>& one) {
  const std::vector<T> before = one.parameterGradients();
  const testing::AssertionResult result =
      failsWith(ErrorCode::kArgument, [&] { one.layer.backward(one.outputGradient); });
  if (!result) return result;
  return isIdentical(one.parameterGradients(), before);
}

}  // namespace

template <class T>
class StateTest : public testing::Test {
 protected:
  LayerCase<T> one_{CaseShape()};
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(StateTest, Formats);

TYPED_TEST(StateTest, BackwardNeedsATrainingForward) {
  auto& one = this->one_;
  EXPECT_TRUE(refusesBackward(one));
  one.forward();
  EXPECT_TRUE(refusesBackward(one));
  one.maps(layer::MapHeads::kMean);
  EXPECT_TRUE(refusesBackward(one));
  one.layer.setTraining(true);
  EXPECT_TRUE(refusesBackward(one));
  one.forward();
  EXPECT_NO_THROW(one.layer.backward(one.outputGradient));
}

TYPED_TEST(StateTest, BackwardMayBeCalledAgainAndAddsUp) {
  using T = TypeParam;
  auto& one = this->one_;
  const Tensor<T> first = one.forwardAndBackward();
  const std::vector<T> once = one.parameterGradients();
  EXPECT_TRUE(isIdentical(one.layer.backward(one.outputGradient), first));
  std::vector<double> twice;
  for (const T gradient : once) twice.push_back(2 * static_cast<double>(gradient));
  // Sums of the same terms in another order.
  EXPECT_TRUE(
      isRelativelyNear(one.parameterGradients(), twice, 32 * std::numeric_limits<T>::epsilon()));
  one.layer.clearGradients();
  for (const T gradient : one.parameterGradients()) ASSERT_EQ(gradient, T(0));
  one.layer.backward(one.outputGradient);
  EXPECT_TRUE(isIdentical(one.parameterGradients(), once));
}

TYPED_TEST(StateTest, BackwardIsOfTheLastTrainingForward) {
  using T = TypeParam;
  auto& one = this->one_;
  const Tensor<T> expected = one.forwardAndBackward();
  // Another call without training, and maps, in between.
  one.layer.setTraining(false);
  Random random(5);
  one.layer.forward(normalTensor<T>(random, Shape{4, 8}), one.contextPointer());
  one.layer.attentionMaps(normalTensor<T>(random, Shape{4, 8}), one.contextPointer(), {},
                          layer::MapHeads::kAll);
  EXPECT_TRUE(isIdentical(one.layer.backward(one.outputGradient), expected));
  // Another training forward takes its place.
  one.layer.setTraining(true);
  one.layer.forward(normalTensor<T>(random, Shape{4, 8}), one.contextPointer());
  EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { one.layer.backward(one.outputGradient); }));
}

TYPED_TEST(StateTest, TheOutputGradientHasTheInputsShape) {
  using T = TypeParam;
  auto& one = this->one_;
  one.forwardAndBackward();
  const std::vector<T> before = one.parameterGradients();
  for (const Shape& shape :
       {Shape{8, 3, 5}, Shape{1, 8, 5, 3}, Shape{1, 15, 8}, Shape{120}, Shape{}}) {
    EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { one.layer.backward(Tensor<T>::zeros(shape)); }));
  }
  EXPECT_TRUE(isIdentical(one.parameterGradients(), before));
}

TYPED_TEST(StateTest, ParameterChangesMakeActivationsStale) {
  using T = TypeParam;
  auto& one = this->one_;
  const std::vector<std::function<void()>> changes = {
      [&] { one.layer.setParameters(one.layer.parameters().values()); },
      [&] { one.layer.setParameter("to_out.0.bias", Tensor<T>::zeros(Shape{8})); },
      [&] { one.layer.updateParameters(0.001); },
  };
  for (const auto& change : changes) {
    one.forwardAndBackward();
    change();
    EXPECT_TRUE(refusesBackward(one));
    one.forward();
    EXPECT_NO_THROW(one.layer.backward(one.outputGradient));
    one.layer.clearGradients();
  }
}

TYPED_TEST(StateTest, ResetStateForgetsActivationsGradientAndContexts) {
  using T = TypeParam;
  auto& one = this->one_;
  one.forward();
  one.forwardAndBackward();
  const std::vector<T> gradients = one.parameterGradients();
  const std::vector<T> parameters(one.layer.parameters().values().begin(),
                                  one.layer.parameters().values().end());
  EXPECT_TRUE(one.layer.contextGradient());
  one.layer.setTraining(false);
  one.forward();
  one.layer.resetState();
  EXPECT_FALSE(one.layer.contextGradient());
  EXPECT_TRUE(refusesBackward(one));
  EXPECT_TRUE(isIdentical(one.layer.parameters().values(), parameters));
  EXPECT_TRUE(isIdentical(one.parameterGradients(), gradients));
  const int hits = contextHits(one);
  one.forward();
  EXPECT_EQ(contextHits(one), hits);
}

TYPED_TEST(StateTest, ContextsAreCachedByContent) {
  using T = TypeParam;
  auto& one = this->one_;
  const Tensor<T> expected = one.forward();
  EXPECT_EQ(contextHits(one), 0);
  EXPECT_TRUE(isIdentical(one.forward(), expected));
  EXPECT_EQ(contextHits(one), 1);
  // The same values in another tensor, for another image.
  const Tensor<T> same = one.context->clone();
  EXPECT_TRUE(isIdentical(one.layer.forward(one.input, &same), expected));
  EXPECT_EQ(contextHits(one), 2);
  // One value changed in place: what a view in JavaScript does.
  one.context->data()[11] += T(0.5);
  const Tensor<T> changed = one.forward();
  EXPECT_EQ(contextHits(one), 2);
  EXPECT_FALSE(isIdentical(changed, expected));
  LayerCase<T> fresh(one.shape);
  fresh.context = one.context;
  EXPECT_TRUE(isIdentical(changed, fresh.forward()));
  // Another shape of the same values is another context.
  const Tensor<T> batched = one.context->reshaped({1, 7, 6});
  EXPECT_TRUE(isIdentical(one.layer.forward(one.input, &batched), changed));
}

TYPED_TEST(StateTest, CachedContextsFollowMaskAndParameters) {
  using T = TypeParam;
  auto& one = this->one_;
  one.forward();
  Tensor<T> values = Tensor<T>::full(Shape{1, 7}, T(1));
  values.data()[2] = T(0);
  one.mask = layer::Mask<T>::from(values);
  one.maskTensor = values;
  const double tolerance = one.reference().tolerance(std::numeric_limits<T>::epsilon());
  EXPECT_TRUE(isNear(one.rows(one.forward()), one.reference().output(), tolerance));
  EXPECT_EQ(contextHits(one), 0);
  EXPECT_TRUE(isNear(one.rows(one.forward()), one.reference().output(), tolerance));
  EXPECT_EQ(contextHits(one), 1);
  // Another mask that ignores as many keys.
  values.data()[2] = T(1);
  values.data()[3] = T(0);
  one.mask = layer::Mask<T>::from(values);
  one.maskTensor = values;
  EXPECT_TRUE(isNear(one.rows(one.forward()), one.reference().output(), tolerance));
  EXPECT_EQ(contextHits(one), 1);
  const Tensor<T> weight = Tensor<T>::full(Shape{8, 6}, T(0.25));
  one.layer.setParameter("to_v.weight", weight);
  EXPECT_TRUE(isNear(one.rows(one.forward()), one.reference().output(), tolerance));
  EXPECT_EQ(contextHits(one), 1);
}

TYPED_TEST(StateTest, AContextReadyForForwardServesMapsButNotTraining) {
  auto& one = this->one_;
  const auto maps = one.maps(layer::MapHeads::kAll);
  one.forward();
  EXPECT_TRUE(isIdentical(one.maps(layer::MapHeads::kAll), maps));
  // Backward needs the keys and values in two orders: a training forward makes its own.
  const auto gradient = one.forwardAndBackward();
  LayerCase<TypeParam> fresh(one.shape);
  EXPECT_TRUE(isIdentical(gradient, fresh.forwardAndBackward()));
}

TYPED_TEST(StateTest, TheContextGradientStaysUntilTheNextBackward) {
  using T = TypeParam;
  auto& one = this->one_;
  EXPECT_FALSE(one.layer.contextGradient());
  one.forwardAndBackward();
  const Tensor<T> held = *one.layer.contextGradient();
  const Tensor<T> copy = held.clone();
  one.layer.setTraining(false);
  one.forward();
  EXPECT_TRUE(isIdentical(*one.layer.contextGradient(), copy));
  one.layer.setTraining(true);
  one.forward();
  one.layer.backward(Tensor<T>::zeros(one.input.shape()));
  EXPECT_TRUE(isIdentical(*one.layer.contextGradient(), std::vector<T>(42, T(0))));
  EXPECT_TRUE(isIdentical(held, copy));
}

TYPED_TEST(StateTest, SelfAttentionHasNoContextGradient) {
  CaseShape shape;
  shape.context.reset();
  LayerCase<TypeParam> one(shape);
  one.forwardAndBackward();
  EXPECT_FALSE(one.layer.contextGradient());
}

TYPED_TEST(StateTest, DiagnosticsTellWhatWasDone) {
  auto& one = this->one_;
  auto diagnostics = diagnosticsOf(one);
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
  one.forwardAndBackward();
  diagnostics = diagnosticsOf(one);
  // 2·(2·N·C² + 2·L·D·C + 2·N·L·C) of numbers in the layer's own formula.
  constexpr int kForward = 2 * (2 * 15 * 8 * 8 + 2 * 7 * 6 * 8 + 2 * 15 * 7 * 8);
  EXPECT_EQ(diagnostics.at("forwardFlops"), std::to_string(kForward));
  EXPECT_GE(std::stod(diagnostics.at("forwardMilliseconds")), 0);
  EXPECT_GT(std::stod(diagnostics.at("backwardFlops")), kForward);
  EXPECT_GT(std::stod(diagnostics.at("backwardPeakBytes")), 0);
  EXPECT_NE(diagnostics.at("forwardShapes").find("[1, 8, 3, 5]"), std::string::npos);
  EXPECT_GT(std::stod(diagnostics.at("activationBytes")), 0);
  one.layer.resetState();
  EXPECT_EQ(diagnosticsOf(one).at("activationBytes"), "0");
}

TYPED_TEST(StateTest, DiagnosticsCountTheWorkOfAFoldedCall) {
  LayerCase<TypeParam> one(foldingShape());
  ASSERT_TRUE(foldsContext(one));
  one.forwardAndBackward();
  auto diagnostics = diagnosticsOf(one);
  // Keys and values of seven rows of 20, folded with two weights of 46², then 63 tokens by 2 heads of 7 keys.
  constexpr int kProjected = 4 * 7 * 20 * 46;
  constexpr int kFolded = 4 * 7 * 46 * 46;
  constexpr int kTokens = 4 * 63 * 2 * 7 * 46;
  EXPECT_EQ(diagnostics.at("forwardFlops"), std::to_string(kProjected + kFolded + kTokens));
  // Folded: five products of tokens by keys instead of two, and twice what made the keys. As written: five of tokens by
  // channels, six of tokens by the keys of each head's own channels.
  constexpr int kFoldedBack = 2 * kProjected + 2 * kFolded + kTokens / 2 * 5;
  constexpr int kBackAsWritten = 2 * kProjected + 10 * 63 * 46 * 46 + 12 * 63 * 7 * 46;
  EXPECT_EQ(diagnostics.at("backwardFlops"),
            std::to_string(layer::kFoldsGradients<TypeParam> ? kFoldedBack : kBackAsWritten));
  one.layer.setTraining(false);
  one.forward();
  one.forward();
  EXPECT_EQ(diagnosticsOf(one).at("forwardFlops"), std::to_string(kTokens));
}

}  // namespace cross_attention::test::layer_state_test
