#include <gtest/gtest.h>

#include <limits>

#include "support/comparison.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_arguments_test {

namespace {

using Configuration = layer::Configuration;
using FloatLayer = layer::DiffusionCrossAttention<float>;

Tensor<float> ones(const Shape& shape) { return Tensor<float>::full(shape, 1); }

}  // namespace

/// A layer with queryDim = 8, contextDim = 6 and 2 heads.
class ArgumentsTest : public testing::Test {
 protected:
  FloatLayer layer_{configurationOf(8, 6, 2)};
  const Tensor<float> input_ = ones({2, 8, 3, 5});
  const Tensor<float> context_ = ones({7, 6});

  testing::AssertionResult rejects(const Tensor<float>& input, const Tensor<float>* context,
                                   const layer::Mask<float>& mask = {}) {
    layer_.setTraining(true);
    const std::size_t before = memory::bytesInUse();
    const auto calls = {
        std::pair<const char*, std::function<void()>>{"forward",
                                                      [&] { layer_.forward(input, context, mask); }},
        {"startForward", [&] { layer_.startForward(input, context, mask); }},
        {"attentionMaps", [&] { layer_.attentionMaps(input, context, mask, layer::MapHeads::kMean); }}};
    for (const auto& [name, call] : calls) {
      const testing::AssertionResult result = failsWith(ErrorCode::kShape, call);
      if (!result) return testing::AssertionFailure() << name << ": " << result.message();
    }
    // A rejected call may have packed weights, but has saved nothing.
    const std::size_t packed = 2 * 8 * 12 * sizeof(float);
    if (memory::bytesInUse() > before + packed) return testing::AssertionFailure() << "memory was not freed";
    const testing::AssertionResult noTraining =
        failsWith(ErrorCode::kArgument, [&] { layer_.backward(input_); });
    if (!noTraining) return testing::AssertionFailure() << "backward: " << noTraining.message();
    return testing::AssertionSuccess();
  }
};

TEST_F(ArgumentsTest, RejectsInputsOfAnotherShape) {
  for (const Shape& shape : {Shape{}, Shape{8}, Shape{2, 3, 8, 5}, Shape{2, 7, 3, 5}, Shape{2, 8, 15},
                             Shape{5, 7}, Shape{1, 2, 8, 3, 5}, Shape{8, 3}, Shape{0}}) {
    EXPECT_TRUE(rejects(ones(shape), &context_)) << toString(shape);
  }
}

TEST_F(ArgumentsTest, RejectsContextsOfAnotherShape) {
  for (const Shape& shape :
       {Shape{}, Shape{6}, Shape{7, 5}, Shape{3, 7, 6}, Shape{2, 6, 7}, Shape{2, 7, 6, 1}, Shape{0, 7, 6}}) {
    const Tensor<float> context = ones(shape);
    EXPECT_TRUE(rejects(input_, &context)) << toString(shape);
  }
  // Self-attention requires contextDim = queryDim.
  EXPECT_TRUE(rejects(input_, nullptr));
}

TEST_F(ArgumentsTest, RejectsMasksOfAnotherShape) {
  for (const Shape& shape :
       {Shape{2, 6}, Shape{3, 7}, Shape{7, 2}, Shape{2, 2, 15, 6}, Shape{3, 1, 1, 7}, Shape{1, 3, 1, 7},
        Shape{1, 1, 14, 7}, Shape{2, 8, 15, 7}, Shape{2, 14, 7}, Shape{3, 15, 7}, Shape{0, 7}}) {
    EXPECT_TRUE(rejects(input_, &context_, layer::Mask<float>::from(ones(shape)))) << toString(shape);
  }
  for (const Shape& shape : {Shape{}, Shape{7}, Shape{1, 2, 2, 15, 7}}) {
    EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { layer::Mask<float>::from(ones(shape)); }));
  }
}

TEST_F(ArgumentsTest, RejectsMasksOfOtherValuesOrDtypes) {
  for (const float value : {0.5f, -1.0f, 2.0f, -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
    Tensor<float> mask = ones({1, 7});
    mask.data()[6] = value;
    EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { layer::Mask<float>::from(mask); })) << value;
  }
  const Tensor<double> additive = Tensor<double>::zeros({1, 1, 1, 7});
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { layer::Mask<float>::from(additive); }));
}

TEST_F(ArgumentsTest, ErrorsNameTheArgumentAndBothShapes) {
  const Tensor<float> context = ones({7, 5});
  try {
    layer_.forward(input_, &context);
    FAIL();
  } catch (const Error& error) {
    for (const char* part : {"context", "[7, 5]", "contextDim = 6"}) {
      EXPECT_NE(error.message().find(part), std::string::npos) << error.message();
    }
  }
}

TEST_F(ArgumentsTest, ARejectedCallKeepsTheLastTrainingForward) {
  layer_.setTraining(true);
  layer_.forward(input_, &context_);
  const Tensor<float> expected = layer_.backward(input_);
  layer_.clearGradients();
  EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { layer_.forward(context_, &context_); }));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { layer_.backward(context_); }));
  for (const float gradient : layer_.parameters().gradients()) ASSERT_EQ(gradient, 0.0f);
  EXPECT_TRUE(isIdentical(layer_.backward(input_), expected));
}

TEST(ConfigurationTest, RejectsInvalidConfigurations) {
  const Configuration good = configurationOf(8, 6, 2);
  EXPECT_NO_THROW(FloatLayer{good});
  const auto rejects = [&good](auto change) {
    Configuration configuration = good;
    change(configuration);
    return failsWith(ErrorCode::kArgument, [&] { FloatLayer{configuration}; });
  };
  for (const Index value : {Index(0), Index(-1), Index(32769), std::numeric_limits<Index>::max(),
                            std::numeric_limits<Index>::min()}) {
    EXPECT_TRUE(rejects([&](Configuration& changed) { changed.queryDim = value; })) << value;
    EXPECT_TRUE(rejects([&](Configuration& changed) { changed.contextDim = value; })) << value;
    EXPECT_TRUE(rejects([&](Configuration& changed) { changed.numHeads = value; })) << value;
    EXPECT_TRUE(rejects([&](Configuration& changed) { changed.spatialSize = value; })) << value;
    if (value == 0) continue;
    EXPECT_TRUE(rejects([&](Configuration& changed) { changed.tokenBlock = value; })) << value;
    EXPECT_TRUE(rejects([&](Configuration& changed) { changed.keyBlock = value; })) << value;
  }
  EXPECT_TRUE(rejects([](Configuration& changed) { changed.numHeads = 3; }));
  EXPECT_TRUE(rejects([](Configuration& changed) { changed.numHeads = 16; }));
  EXPECT_TRUE(
      rejects([](Configuration& changed) { changed.scale = std::numeric_limits<double>::quiet_NaN(); }));
  EXPECT_TRUE(
      rejects([](Configuration& changed) { changed.scale = std::numeric_limits<double>::infinity(); }));
}

TEST(ConfigurationTest, TheDefaultScaleIsOneOverTheRootOfHeadDim) {
  Configuration configuration = configurationOf(36, 6, 4);
  EXPECT_DOUBLE_EQ(configuration.softmaxScale(), 1.0 / 3);
  configuration.scale = -0.25;
  EXPECT_EQ(configuration.softmaxScale(), -0.25);
  // A scale of 0 gives all keys the same weight.
  configuration.scale = 0;
  layer::DiffusionCrossAttention<double> layer(configuration);
  Random random(4);
  const Tensor<double> context = normalTensor<double>(random, {10, 6});
  const Tensor<double> maps =
      layer.attentionMaps(normalTensor<double>(random, {3, 36}), &context, {}, layer::MapHeads::kAll);
  EXPECT_TRUE(isNear(maps, std::vector<double>(4 * 10 * 3, 0.1), 1e-15));
}

}  // namespace cross_attention::test::layer_arguments_test
