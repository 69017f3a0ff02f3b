#include "layer/loras.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

#include "support/comparison.hpp"
#include "support/layer_case.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::layer_loras_test {

namespace {

using layer::LoraUpdate;
using layer::ParameterId;

constexpr std::array kWeights = {ParameterId::kQuery, ParameterId::kKey, ParameterId::kValue,
                                 ParameterId::kOutput};

template <class T>
LoraUpdate<T> randomUpdate(const Shape& shape, ParameterId weight, Index rank, double factor,
                           Random& random) {
  return {weight, normalTensor<T>(random, Shape{rank, shape[1]}),
          normalTensor<T>(random, Shape{shape[0], rank}), factor};
}

/// Adds `update` at `scale` to the parameters, in double.
template <class T>
void addTo(std::vector<double>& values, const layer::Parameters<T>& parameters, const LoraUpdate<T>& update,
           double scale) {
  const Shape& shape = parameters.shape(update.weight);
  const auto offset = parameters.values(update.weight).data() - parameters.values().data();
  const Index rank = update.down.shape()[0];
  for (Index row = 0; row < shape[0]; ++row) {
    for (Index column = 0; column < shape[1]; ++column) {
      double sum = 0;
      for (Index index = 0; index < rank; ++index) {
        sum += static_cast<double>(update.up.data()[row * rank + index]) *
               static_cast<double>(update.down.data()[index * shape[1] + column]);
      }
      values[static_cast<std::size_t>(offset + row * shape[1] + column)] += scale * update.factor * sum;
    }
  }
}

template <class T>
std::vector<T> copyOf(std::span<const T> values) {
  return {values.begin(), values.end()};
}

/// One head folds; four heads do not.
CaseShape callShape(bool folded) {
  CaseShape shape;
  shape.batch = 2;
  shape.height = 7;
  shape.width = 9;
  shape.numHeads = folded ? 1 : 4;
  shape.context = Shape{2, 7, 6};
  return shape;
}

}  // namespace

template <class T>
class LorasTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(LorasTest, Formats);

TYPED_TEST(LorasTest, CallsComputeWithTheEffectiveWeights) {
  using T = TypeParam;
  for (const bool folded : {false, true}) {
    LayerCase<T> tested(callShape(folded));
    const auto& parameters = tested.layer.parameters();
    const std::vector<T> own = copyOf(parameters.values());
    std::vector<double> expected(own.begin(), own.end());
    Random random(5);
    const std::array scales = {0.7, -0.3, 0.0};
    for (std::size_t number = 0; number < scales.size(); ++number) {
      tested.layer.addLora();
      for (const ParameterId weight : kWeights) {
        // The second one has only some of the weights.
        if (number == 1 && weight == ParameterId::kQuery) continue;
        const auto update = randomUpdate<T>(parameters.shape(weight), weight,
                                            1 + static_cast<Index>(number) * 3, 0.25, random);
        addTo(expected, parameters, update, scales[number]);
        tested.layer.addLoraUpdate(update);
      }
    }
    tested.layer.setLoraScales(scales);
    const std::vector<T> effective = copyOf(tested.layer.effectiveParameters().effective());
    EXPECT_TRUE(isRelativelyNear(effective, expected, std::numeric_limits<T>::epsilon()));
    EXPECT_TRUE(isIdentical(parameters.values(), own));

    LayerCase<T> merged(callShape(folded));
    merged.layer.setParameters(std::span<const T>(effective));
    EXPECT_TRUE(isIdentical(tested.forward(), merged.forward()));
    EXPECT_TRUE(isIdentical(tested.maps(layer::MapHeads::kAll), merged.maps(layer::MapHeads::kAll)));
    EXPECT_TRUE(isIdentical(tested.forwardAndBackward(), merged.forwardAndBackward()));
    EXPECT_TRUE(isIdentical(tested.parameterGradients(), merged.parameterGradients()));
    EXPECT_TRUE(isIdentical(*tested.layer.contextGradient(), *merged.layer.contextGradient()));

    // The layer's own weights take the step; the effective ones follow.
    tested.layer.updateParameters(0.5);
    merged.layer.updateParameters(0.5);
    EXPECT_FALSE(isIdentical(parameters.values(), own));
    EXPECT_TRUE(isRelativelyNear(tested.layer.effectiveParameters().effective(),
                                 merged.layer.parameters().values(), 4 * std::numeric_limits<T>::epsilon()));
    tested.layer.setParameters(std::span<const T>(own));
    EXPECT_TRUE(isIdentical(tested.layer.effectiveParameters().effective(), effective));

    tested.layer.mergeLoras();
    EXPECT_TRUE(isIdentical(parameters.values(), effective));
    EXPECT_FALSE(parameters.hasEffective());
  }
}

TYPED_TEST(LorasTest, ScaleZeroAndRemovalGiveTheBitsOfBefore) {
  using T = TypeParam;
  LayerCase<T> tested(callShape(false));
  const Tensor<T> before = tested.forward();
  const std::vector<T> own = copyOf(tested.layer.parameters().values());
  const std::size_t bytes = memory::bytesInUse();
  {
    Random random(6);
    const auto shape = tested.layer.parameters().shape(ParameterId::kKey);
    for (int number = 0; number < 2; ++number) {
      tested.layer.addLora();
      tested.layer.addLoraUpdate(randomUpdate<T>(shape, ParameterId::kKey, 3, 1, random));
    }
  }
  tested.layer.setLoraScales(std::array{1.0, 0.5});
  EXPECT_FALSE(isIdentical(tested.forward(), before));
  tested.layer.setLoraScales(std::array{0.0, 0.0});
  EXPECT_TRUE(isIdentical(tested.forward(), before));
  EXPECT_FALSE(tested.layer.parameters().hasEffective());
  tested.layer.setLoraScales(std::array{0.0, 2.0});
  EXPECT_FALSE(isIdentical(tested.forward(), before));
  tested.layer.removeLora(0);
  EXPECT_FALSE(isIdentical(tested.forward(), before));
  tested.layer.removeLora(0);
  EXPECT_TRUE(isIdentical(tested.forward(), before));
  EXPECT_TRUE(isIdentical(tested.layer.parameters().values(), own));
  EXPECT_EQ(memory::bytesInUse(), bytes);
}

TYPED_TEST(LorasTest, OnlyChangesThatHaveAnEffectDropTheTrainingForward) {
  LayerCase<TypeParam> tested(callShape(false));
  tested.forwardAndBackward();
  Random random(7);
  const auto shape = tested.layer.parameters().shape(ParameterId::kQuery);
  tested.layer.addLora();
  tested.layer.addLoraUpdate(randomUpdate<TypeParam>(shape, ParameterId::kQuery, 2, 1, random));
  tested.layer.setLoraScales(std::array{0.0});
  EXPECT_NO_THROW(tested.layer.backward(tested.outputGradient));
  tested.layer.removeLora(0);
  EXPECT_NO_THROW(tested.layer.backward(tested.outputGradient));
  tested.layer.addLora();
  tested.layer.addLoraUpdate(randomUpdate<TypeParam>(shape, ParameterId::kQuery, 2, 1, random));
  tested.layer.setLoraScales(std::array{1.0});
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { tested.layer.backward(tested.outputGradient); }));
}

}  // namespace cross_attention::test::layer_loras_test
