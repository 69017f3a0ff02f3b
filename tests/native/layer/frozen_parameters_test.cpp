#include <gtest/gtest.h>

#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/layer_case.hpp"

/// Frozen parameters: a backward pass leaves their gradients as they are, and all others have the same bits.
namespace cross_attention::test::layer_frozen_parameters_test {

namespace {

using layer::ParameterId;

/// One head folds the context, four heads do not.
CaseShape shapeOf(bool folded, bool selfAttention) {
  CaseShape shape;
  shape.batch = 2;
  shape.height = 7;
  shape.width = 9;
  shape.numHeads = folded ? 1 : 4;
  shape.context = selfAttention ? std::nullopt : std::optional(Shape{2, 7, 6});
  return shape;
}

template <class T>
void expectFreezing(const CaseShape& shape) {
  const bool selfAttention = !shape.context;
  LayerCase<T> all(shape);
  const Tensor<T> inputGradient = all.forwardAndBackward();
  for (const ParameterId frozen : all.layer.parameters().layout().ids()) {
    SCOPED_TRACE(layer::nameOf(frozen));
    LayerCase<T> some(shape);
    some.layer.setTrainable(frozen, false);
    EXPECT_FALSE(some.layer.parameters().isTrainable(frozen));
    EXPECT_TRUE(isIdentical(some.forwardAndBackward(), inputGradient));
    if (!selfAttention) {
      EXPECT_TRUE(isIdentical(*some.layer.contextGradient(), *all.layer.contextGradient()));
    }
    std::vector<T> expected = all.parameterGradients();
    const auto& parameters = some.layer.parameters();
    const auto begin = expected.begin() + (parameters.values(frozen).data() - parameters.values().data());
    std::fill_n(begin, parameters.shape(frozen).size(), T(0));
    EXPECT_TRUE(isIdentical(some.parameterGradients(), expected));
    // Trainable again, the same backward pass adds all gradients.
    some.layer.setTrainable(frozen, true);
    some.layer.clearGradients();
    some.layer.backward(some.outputGradient);
    EXPECT_TRUE(isIdentical(some.parameterGradients(), all.parameterGradients()));
  }
}

}  // namespace

TEST(FrozenParametersTest, Plain) {
  const CaseShape shape = shapeOf(false, false);
  EXPECT_FALSE(foldsContext(LayerCase<float>(shape)));
  expectFreezing<float>(shape);
  expectFreezing<double>(shape);
}

TEST(FrozenParametersTest, Folded) {
  const CaseShape shape = shapeOf(true, false);
  EXPECT_TRUE(foldsContext(LayerCase<float>(shape)));
  expectFreezing<float>(shape);
}

TEST(FrozenParametersTest, SelfAttention) {
  expectFreezing<float>(shapeOf(false, true));
  expectFreezing<double>(shapeOf(false, true));
}

TEST(FrozenParametersTest, BiasesAndNorms) {
  for (const bool selfAttention : {false, true}) {
    CaseShape shape = shapeOf(false, selfAttention);
    shape.bias = true;
    shape.norm = layer::QueryKeyNorm::kLayerNorm;
    expectFreezing<float>(shape);
  }
}

}  // namespace cross_attention::test::layer_frozen_parameters_test
