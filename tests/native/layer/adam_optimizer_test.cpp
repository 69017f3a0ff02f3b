#include "layer/adam_optimizer.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_adam_optimizer_test {

namespace {

using layer::AdamOptimizer;
using layer::AdamStep;
using layer::ParameterId;
using layer::Parameters;

/// to_q.weight has 19881 elements: more than one task (16384), and no multiple of a vector.
constexpr layer::Configuration kConfiguration = configurationOf(141, 3, 3, 5);

template <class T>
void drawGradients(Parameters<T>& parameters, Random& random, double deviation) {
  parameters.requireGradients();
  for (Index id = 0; id < layer::kParameterCount; ++id) {
    for (T& value : parameters.gradients(static_cast<ParameterId>(id))) {
      value = static_cast<T>(deviation * random.normal());
    }
  }
}

template <class T>
std::vector<T> vectorOf(std::span<const T> values) {
  return {values.begin(), values.end()};
}

/// torch.optim.AdamW as its documentation prints it, in double.
struct Reference {
  std::vector<double> values, mean, square;

  explicit Reference(std::span<const double> initial)
      : values(initial.begin(), initial.end()), mean(initial.size()), square(initial.size()) {}
  explicit Reference(std::span<const float> initial)
      : values(initial.begin(), initial.end()), mean(initial.size()), square(initial.size()) {}

  template <class T>
  void update(std::span<const T> gradients, const AdamStep& step) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto g = static_cast<double>(gradients[i]);
      values[i] -= step.learningRate * step.weightDecay * values[i];
      mean[i] = step.beta1 * mean[i] + (1 - step.beta1) * g;
      square[i] = step.beta2 * square[i] + (1 - step.beta2) * g * g;
      const double m = mean[i] / (1 - std::pow(step.beta1, step.step));
      const double v = square[i] / (1 - std::pow(step.beta2, step.step));
      values[i] -= step.learningRate * m / (std::sqrt(v) + step.epsilon);
    }
  }
};

}  // namespace

template <class T>
class AdamOptimizerTest : public testing::Test {
 protected:
  Parameters<T> parameters_{kConfiguration};
  AdamOptimizer<T> optimizer_;

  void addAll() {
    for (Index id = 0; id < layer::kParameterCount; ++id) {
      optimizer_.add(parameters_, static_cast<ParameterId>(id));
    }
  }
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(AdamOptimizerTest, Formats);

TYPED_TEST(AdamOptimizerTest, MatchesTheReference) {
  using T = TypeParam;
  this->addAll();
  // A step is at most the rate times 1 / √(1 - β₂) = 3, and is exact to some roundings.
  const double tolerance = 100 * static_cast<double>(std::numeric_limits<T>::epsilon());
  Reference reference(this->parameters_.values());
  Random random(6);
  AdamStep step{.learningRate = 0.01, .beta1 = 0.8, .beta2 = 0.9, .epsilon = 1e-4, .weightDecay = 0.1};
  for (; step.step <= 30; ++step.step) {
    drawGradients(this->parameters_, random, 1 / step.step);
    reference.update(std::as_const(this->parameters_).gradients(), step);
    this->optimizer_.update(this->parameters_, step);
    ASSERT_TRUE(isNear(this->parameters_.values(), reference.values, tolerance)) << "step " << step.step;
    ASSERT_EQ(largestMagnitude(std::as_const(this->parameters_).gradients()), 0);
  }
}

TYPED_TEST(AdamOptimizerTest, UpdatesTheAddedParametersOnlyAndClearsAllGradients) {
  using T = TypeParam;
  this->optimizer_.add(this->parameters_, ParameterId::kOutputBias);
  this->optimizer_.add(this->parameters_, ParameterId::kKey);
  const std::vector<T> before = vectorOf(this->parameters_.values());
  Random random(7);
  drawGradients(this->parameters_, random, 1);
  this->optimizer_.update(this->parameters_, {});
  const auto& parameters = std::as_const(this->parameters_);
  for (Index index = 0; index < layer::kParameterCount; ++index) {
    const auto id = static_cast<ParameterId>(index);
    const auto offset = static_cast<std::size_t>(parameters.values(id).data() - parameters.values().data());
    const auto old = std::span<const T>(before).subspan(offset, parameters.values(id).size());
    const bool isUpdated = id == ParameterId::kOutputBias || id == ParameterId::kKey;
    EXPECT_EQ(!isIdentical(parameters.values(id), old), isUpdated) << layer::nameOf(id);
  }
  EXPECT_EQ(largestMagnitude(parameters.gradients()), 0);
}

TYPED_TEST(AdamOptimizerTest, ExtremeGradientsAndOptionsLeaveFiniteParameters) {
  using T = TypeParam;
  const double largest = std::numeric_limits<T>::max() / 10;
  for (const AdamStep& options :
       {AdamStep{}, AdamStep{.beta1 = 0, .beta2 = 0}, AdamStep{.epsilon = 0}, AdamStep{.epsilon = 1e-320}}) {
    Parameters<T> parameters(configurationOf(5, 3, 1, 7));
    AdamOptimizer<T> optimizer;
    for (Index id = 0; id < layer::kParameterCount; ++id) {
      optimizer.add(parameters, static_cast<ParameterId>(id));
    }
    const std::vector<T> before = vectorOf(parameters.values());
    AdamStep step = options;
    // The averages of squares fall from infinity, or from 1e20 to 1 to 0.
    for (const double size : {options.beta2 == 0 ? 1e10 : largest, 1.0, 0.0, 0.0}) {
      parameters.requireGradients();
      for (Index id = 0; id < layer::kParameterCount; ++id) {
        for (T& value : parameters.gradients(static_cast<ParameterId>(id))) value = static_cast<T>(size);
      }
      optimizer.update(parameters, step);
      ++step.step;
      ASSERT_TRUE(isFinite(parameters.values())) << "gradients of " << size << ", step " << step.step;
      ASSERT_TRUE(isNear(parameters.values(), before, 0.1)) << "gradients of " << size;
    }
  }
}

TYPED_TEST(AdamOptimizerTest, WithoutGradientsOnlyTheWeightDecayActs) {
  using T = TypeParam;
  this->addAll();
  const std::vector<T> before = vectorOf(this->parameters_.values());
  this->optimizer_.update(this->parameters_, {.epsilon = 0});
  EXPECT_TRUE(isIdentical(this->parameters_.values(), before));
  this->optimizer_.update(this->parameters_, {.learningRate = 0.5, .weightDecay = 0.5, .step = 2});
  std::vector<T> expected = before;
  for (T& value : expected) value -= T(0.25) * value;
  EXPECT_TRUE(isIdentical(this->parameters_.values(), expected));
}

TYPED_TEST(AdamOptimizerTest, AStepOfALayerCountsAsAChange) {
  using T = TypeParam;
  LayerCase<T> layerCase((CaseShape()));
  const Tensor<T> before = layerCase.forward();
  const auto pending =
      layerCase.layer.startForward(layerCase.input, layerCase.contextPointer(), layerCase.mask);
  layerCase.forwardAndBackward();
  AdamOptimizer<T> optimizer;
  optimizer.add(layerCase.layer.parameters(), ParameterId::kValue);
  const std::uint64_t version = layerCase.layer.parameters().version();
  layerCase.layer.updateParameters(optimizer, {.learningRate = 0.1});
  EXPECT_GT(layerCase.layer.parameters().version(), version);
  EXPECT_TRUE(isIdentical(pending->result(), before));
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { layerCase.layer.backward(layerCase.outputGradient); }));
  layerCase.layer.setTraining(false);
  EXPECT_GT(largestDifference(layerCase.forward(), before), 1e-3);
}

TEST(AdamOptimizerThreadsTest, SameBitsForAllThreads) {
  expectSameBitsForAllThreads([] {
    Parameters<float> parameters(kConfiguration);
    AdamOptimizer<float> optimizer;
    for (const ParameterId id : {ParameterId::kQuery, ParameterId::kOutput, ParameterId::kOutputBias}) {
      optimizer.add(parameters, id);
    }
    Random random(9);
    for (int step = 1; step <= 3; ++step) {
      drawGradients(parameters, random, 1);
      optimizer.update(parameters, {.learningRate = 0.1, .step = static_cast<double>(step)});
    }
    return vectorOf(std::as_const(parameters).values());
  });
}

}  // namespace cross_attention::test::layer_adam_optimizer_test
