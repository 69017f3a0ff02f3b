#include "layer/parameters.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/comparison.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_parameters_test {

namespace {

using layer::ParameterId;

constexpr layer::Configuration kConfiguration = configurationOf(48, 20, 4, 123);

}  // namespace

template <class T>
class ParametersTest : public testing::Test {
 protected:
  layer::DiffusionCrossAttention<T> layer_{kConfiguration};
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(ParametersTest, Formats);

TYPED_TEST(ParametersTest, NamesShapesAndOrder) {
  const auto& parameters = this->layer_.parameters();
  EXPECT_EQ(parameters.size(), 48 * 48 + 2 * 48 * 20 + 48 * 48 + 48);
  const std::vector<std::pair<ParameterId, Shape>> shapes = {{ParameterId::kQuery, {48, 48}},
                                                             {ParameterId::kKey, {48, 20}},
                                                             {ParameterId::kValue, {48, 20}},
                                                             {ParameterId::kOutput, {48, 48}},
                                                             {ParameterId::kOutputBias, {48}}};
  const TypeParam* expected = parameters.values().data();
  for (const auto& [parameter, shape] : shapes) {
    EXPECT_EQ(parameters.shape(parameter), shape);
    EXPECT_EQ(parameters.values(parameter).data(), expected);
    EXPECT_EQ(parameters.layout().find(layer::nameOf(parameter)), parameter);
    expected += shape.size();
  }
  EXPECT_EQ(parameters.layout().ids().size(), shapes.size());
  EXPECT_FALSE(this->layer_.parameters().layout().find("to_q.bias"));
  EXPECT_FALSE(this->layer_.parameters().layout().find(""));
}

TYPED_TEST(ParametersTest, FollowTheProjections) {
  layer::Configuration configuration = kConfiguration;
  configuration.headChannels = 5;
  configuration.outputChannels = 7;
  configuration.bias = true;
  configuration.queryKeyNorm = layer::QueryKeyNorm::kLayerNorm;
  const layer::DiffusionCrossAttention<TypeParam> all(configuration);
  const auto& parameters = all.parameters();
  const std::array<Shape, 12> shapes = {Shape{20, 48}, Shape{20}, Shape{20, 20}, Shape{20},
                                        Shape{20, 20}, Shape{20}, Shape{5},      Shape{5},
                                        Shape{5},      Shape{5},  Shape{7, 20},  Shape{7}};
  for (std::size_t id = 0; id < shapes.size(); ++id) {
    EXPECT_EQ(parameters.shape(static_cast<ParameterId>(id)), shapes[id]) << layer::kParameterNames[id];
  }
  for (const ParameterId id : {ParameterId::kQueryNorm, ParameterId::kKeyNorm}) {
    for (const TypeParam value : parameters.values(id)) EXPECT_EQ(value, TypeParam(1));
  }
  for (const ParameterId id :
       {ParameterId::kQueryBias, ParameterId::kKeyNormBias, ParameterId::kOutputBias}) {
    for (const TypeParam value : parameters.values(id)) EXPECT_EQ(value, TypeParam(0));
  }
  configuration.bias = false;
  configuration.outputBias = false;
  configuration.queryKeyNorm = layer::QueryKeyNorm::kRmsNorm;
  const layer::ParameterLayout layout(configuration);
  const std::vector<ParameterId> expected = {ParameterId::kQuery,   ParameterId::kKey,
                                             ParameterId::kValue,   ParameterId::kQueryNorm,
                                             ParameterId::kKeyNorm, ParameterId::kOutput};
  EXPECT_TRUE(std::ranges::equal(layout.ids(), expected));
  EXPECT_FALSE(layout.find("norm_q.bias"));
  EXPECT_FALSE(layout.find("to_out.0.bias"));
}

TYPED_TEST(ParametersTest, XavierUniformFromTheSeedInOrder) {
  using T = TypeParam;
  Random random(kConfiguration.seed);
  for (const ParameterId id :
       {ParameterId::kQuery, ParameterId::kKey, ParameterId::kValue, ParameterId::kOutput}) {
    const Shape shape = this->layer_.parameters().shape(id);
    const double bound = std::sqrt(6.0 / static_cast<double>(shape[0] + shape[1]));
    double sum = 0;
    double squares = 0;
    for (const T value : this->layer_.parameters().values(id)) {
      ASSERT_EQ(value, static_cast<T>(bound * (2 * random.uniform() - 1)));
      sum += static_cast<double>(value);
      squares += static_cast<double>(value) * static_cast<double>(value);
    }
    // Variance bound²/3 = 2 / (in + out): five standard errors (of a uniform's square: bound²·√(4/45)).
    const auto count = static_cast<double>(shape.size());
    EXPECT_NEAR(sum / count, 0, 5 * bound / std::sqrt(3 * count));
    EXPECT_NEAR(squares / count, bound * bound / 3, 5 * bound * bound * std::sqrt(4 / (45 * count)));
  }
  for (const T value : this->layer_.parameters().values(ParameterId::kOutputBias)) {
    ASSERT_EQ(value, T(0));
  }
}

TYPED_TEST(ParametersTest, ALayerWithoutABackwardHasNoGradients) {
  using T = TypeParam;
  const auto bytesOf = [](Index elements) { return static_cast<std::size_t>(elements) * sizeof(T); };
  const std::size_t before = memory::bytesInUse();
  layer::DiffusionCrossAttention<T> layer(kConfiguration);
  const std::size_t parameterBytes = bytesOf(layer.parameters().size());
  EXPECT_EQ(memory::bytesInUse() - before, parameterBytes);
  layer.setTraining(true);
  const Tensor<T> input = Tensor<T>::full(Shape{7, 48}, T(0.5));
  const Tensor<T> context = Tensor<T>::full(Shape{5, 20}, T(0.25));
  layer.forward(input, &context);
  const std::vector<T> values(layer.parameters().values().begin(), layer.parameters().values().end());
  layer.clearGradients();
  layer.updateParameters(0.5);
  EXPECT_TRUE(isIdentical(layer.parameters().values(), values));
  EXPECT_TRUE(layer.parameters().gradients().empty());
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { layer.backward(input); }));
  EXPECT_TRUE(layer.parameters().gradients().empty());

  layer.forward(input, &context);
  layer.backward(input);
  EXPECT_EQ(std::as_const(layer).parameters().gradients().size(), values.size());
}

TYPED_TEST(ParametersTest, SeedsDiffer) {
  layer::Configuration other = kConfiguration;
  const layer::DiffusionCrossAttention<TypeParam> same(other);
  EXPECT_TRUE(isIdentical(same.parameters().values(), this->layer_.parameters().values()));
  other.seed = 124;
  const layer::DiffusionCrossAttention<TypeParam> different(other);
  EXPECT_FALSE(isIdentical(different.parameters().values(), this->layer_.parameters().values()));
}

TYPED_TEST(ParametersTest, SetsAllParameters) {
  using T = TypeParam;
  auto& layer = this->layer_;
  Random random(1);
  const auto size = layer.parameters().size();
  const std::vector<T> exact = normalValues<T>(random, size);
  layer.setParameters(std::span<const T>(exact));
  EXPECT_TRUE(isIdentical(layer.parameters().values(), exact));
  const std::vector<double> wider = normalValues<double>(random, size);
  layer.setParameters(std::span<const double>(wider));
  for (std::size_t index = 0; index < wider.size(); ++index) {
    ASSERT_EQ(layer.parameters().values()[index], static_cast<T>(wider[index]));
  }
  const std::vector<T> before(layer.parameters().values().begin(), layer.parameters().values().end());
  for (const std::size_t wrong : {std::size_t(0), exact.size() - 1}) {
    EXPECT_TRUE(
        failsWith(ErrorCode::kShape, [&] { layer.setParameters(std::span<const T>(exact).first(wrong)); }));
  }
  EXPECT_TRUE(isIdentical(layer.parameters().values(), before));
}

TYPED_TEST(ParametersTest, SetsParametersByName) {
  using T = TypeParam;
  auto& layer = this->layer_;
  const std::vector<T> before(layer.parameters().values().begin(), layer.parameters().values().end());
  EXPECT_FALSE(layer.setParameter("to_v.bias", Tensor<T>::zeros(Shape{48})));
  for (const Shape& wrong : {Shape{20, 48}, Shape{48 * 20}, Shape{48, 20, 1}, Shape{48, 48}}) {
    EXPECT_TRUE(
        failsWith(ErrorCode::kShape, [&] { layer.setParameter("to_v.weight", Tensor<T>::zeros(wrong)); }));
  }
  EXPECT_TRUE(isIdentical(layer.parameters().values(), before));
  EXPECT_TRUE(layer.setParameter("to_v.weight", Tensor<T>::full(Shape{48, 20}, T(0.5))));
  std::vector<T> expected = before;
  std::fill_n(expected.begin() + 48 * 48 + 48 * 20, 48 * 20, T(0.5));
  EXPECT_TRUE(isIdentical(layer.parameters().values(), expected));
}

TYPED_TEST(ParametersTest, UpdateParametersIsPlainGradientDescent) {
  using T = TypeParam;
  LayerCase<T> layerCase((CaseShape()));
  layerCase.forwardAndBackward();
  const std::vector<T> before(layerCase.layer.parameters().values().begin(),
                              layerCase.layer.parameters().values().end());
  const std::vector<T> gradients = layerCase.parameterGradients();
  layerCase.layer.updateParameters(0.01);
  for (std::size_t index = 0; index < before.size(); ++index) {
    ASSERT_EQ(layerCase.layer.parameters().values()[index],
              before[index] - static_cast<T>(0.01) * gradients[index]);
  }
  for (const T gradient : layerCase.layer.parameters().gradients()) ASSERT_EQ(gradient, T(0));
}

TYPED_TEST(ParametersTest, AStepUpdatesEveryElementAndClearsTheGradients) {
  using T = TypeParam;
  // Sizes with all remainders of a vector: 2·n² + 2·n + n for n channels and a context of one channel.
  for (Index channels = 1; channels <= 20; ++channels) {
    layer::Parameters<T> parameters(configurationOf(channels, 1, 1, 7));
    const std::vector<T> before(parameters.values().begin(), parameters.values().end());
    Random random(9);
    const std::vector<T> gradients = normalValues<T>(random, parameters.size());
    parameters.requireGradients();
    std::copy(gradients.begin(), gradients.end(), parameters.gradients(ParameterId::kQuery).data());
    const std::uint64_t version = parameters.version();
    parameters.stepGradientDescent(T(0.25));
    for (std::size_t index = 0; index < before.size(); ++index) {
      ASSERT_EQ(parameters.values()[index], before[index] - T(0.25) * gradients[index]) << index;
      ASSERT_EQ(parameters.gradients()[index], T(0)) << index;
    }
    // The caller counts the change.
    EXPECT_EQ(parameters.version(), version);
  }
}

TYPED_TEST(ParametersTest, AStepOfOneParameterLeavesTheOthers) {
  using T = TypeParam;
  LayerCase<T> layerCase((CaseShape()));
  auto& layer = layerCase.layer;
  layerCase.forwardAndBackward();
  const std::vector<T> before(layer.parameters().values().begin(), layer.parameters().values().end());
  const std::vector<T> gradients = layerCase.parameterGradients();
  layer.updateParameter(ParameterId::kKey, 0.01);
  const auto key = layer.parameters().values(ParameterId::kKey);
  const auto first = static_cast<std::size_t>(key.data() - layer.parameters().values().data());
  for (std::size_t index = 0; index < before.size(); ++index) {
    const bool isKey = index >= first && index < first + key.size();
    ASSERT_EQ(layer.parameters().values()[index],
              isKey ? before[index] - static_cast<T>(0.01) * gradients[index] : before[index]);
    ASSERT_EQ(layer.parameters().gradients()[index], isKey ? T(0) : gradients[index]);
  }
}

TYPED_TEST(ParametersTest, GradientDescentLearnsATarget) {
  using T = TypeParam;
  CaseShape shape;
  shape.queryDim = 16;
  shape.context = Shape{9, 12};
  LayerCase<T> layerCase(shape);
  layerCase.layer.setTraining(true);
  const Tensor<T> target = layerCase.outputGradient;
  // Returns the mean squared error and writes its gradient to `gradient`.
  Tensor<T> gradient(target.shape());
  const auto loss = [&] {
    const Tensor<T> output = layerCase.forward();
    double sum = 0;
    for (Index index = 0; index < output.size(); ++index) {
      const T difference = output.data()[index] - target.data()[index];
      gradient.data()[index] = 2 * difference / static_cast<T>(output.size());
      sum += static_cast<double>(difference) * static_cast<double>(difference);
    }
    return sum / static_cast<double>(output.size());
  };
  const auto step = [&](double rate) {
    layerCase.layer.backward(gradient);
    double squares = 0;
    for (const T element : layerCase.layer.parameters().gradients()) {
      squares += static_cast<double>(element) * static_cast<double>(element);
    }
    layerCase.layer.updateParameters(rate);
    return rate * squares;
  };
  // A small step lowers the loss by rate · |gradient|², except for the curvature: a few percent at this rate.
  const double first = loss();
  const double expected = step(1e-3);
  EXPECT_NEAR(first - loss(), expected, 0.05 * expected);
  for (int count = 0; count < 300; ++count) {
    step(0.1);
    loss();
  }
  EXPECT_LT(loss(), first / 2);
}

}  // namespace cross_attention::test::layer_parameters_test
