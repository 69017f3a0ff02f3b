#include "denoiser/attention.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/layer_case.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::denoiser_attention_test {

namespace {

using denoiser::Attention;
using layer::DiffusionCrossAttention;
using layer::Mask;
using operators::ParameterSet;

constexpr Index kBatch = 2;
constexpr Index kTokens = 9;
constexpr Index kFeatures = 10;
constexpr Index kHeads = 2;
constexpr Index kWords = 5;
constexpr Index kWordFeatures = 7;

/// An attention to words, of which a mask leaves three to the first row and all to the second; or to itself.
template <class T>
struct Case {
  ParameterSet<T> parameters{4};
  Attention<T> attention;
  Tensor<T> tokens, outputGradient;
  std::optional<Tensor<T>> context;
  Mask<T> mask;

  explicit Case(bool toItself)
      : attention(parameters, "attn", kFeatures, toItself ? kFeatures : kWordFeatures, kHeads) {
    Random random(5);
    for (T& value : parameters.find("attn.to_out.0.bias")->values) {
      value = static_cast<T>(random.normal());
    }
    parameters.touch();
    tokens = normalTensor<T>(random, Shape{kBatch, kTokens, kFeatures});
    outputGradient = normalTensor<T>(random, tokens.shape());
    if (toItself) return;
    context = normalTensor<T>(random, Shape{kBatch, kWords, kWordFeatures});
    Tensor<T> keys = Tensor<T>::full(Shape{kBatch, kWords}, T(1));
    keys.data()[1] = keys.data()[3] = T(0);
    mask = Mask<T>::from(keys);
  }

  const Tensor<T>* contextPointer() const { return context ? &*context : nullptr; }
  Tensor<T> forward(bool keep = false) { return attention.forward(tokens, contextPointer(), mask, keep); }
  Tensor<T> probabilities() { return attention.probabilities(tokens, contextPointer(), mask); }
  Tensor<T> forwardWith(const Tensor<T>& given) {
    return attention.forwardWith(given, tokens, contextPointer());
  }
  /// The layer by itself, with the values that the set has.
  std::unique_ptr<DiffusionCrossAttention<T>> layerAlone() const {
    auto layer = std::make_unique<DiffusionCrossAttention<T>>(
        configurationOf(kFeatures, context ? kWordFeatures : kFeatures, kHeads));
    std::vector<T> values;
    for (const auto& parameter : parameters) {
      values.insert(values.end(), parameter.values.begin(), parameter.values.end());
    }
    layer->setParameters(std::span<const T>(values));
    return layer;
  }
};

}  // namespace

TEST(DenoiserAttentionTest, ParametersHaveTheLayersNamesAndShapes) {
  Case<float> one(false);
  const auto layer = one.layerAlone();
  const auto ids = layer->parameters().layout().ids();
  std::size_t index = 0;
  for (const auto& parameter : one.parameters) {
    EXPECT_EQ(parameter.name, "attn." + std::string(nameOf(ids[index])));
    EXPECT_EQ(parameter.shape, layer->parameters().shape(ids[index]));
    ++index;
  }
  EXPECT_EQ(index, ids.size());
}

TEST(DenoiserAttentionTest, ForwardAndGradientsAreTheLayers) {
  for (const bool toItself : {false, true}) {
    Case<float> one(toItself);
    const auto layer = one.layerAlone();
    layer->setTraining(true);
    EXPECT_TRUE(isIdentical(one.forward(true), layer->forward(one.tokens, one.contextPointer(), one.mask)));
    const Tensor<float> expected = layer->backward(one.outputGradient);
    Tensor<float> contextGradient = Tensor<float>::zeros(Shape{kBatch, kWords, kWordFeatures});
    EXPECT_TRUE(isIdentical(one.attention.backward(one.outputGradient, toItself ? nullptr : &contextGradient),
                            expected));
    if (!toItself) {
      EXPECT_TRUE(isIdentical(contextGradient, *layer->contextGradient()));
    }
    std::vector<float> gradients;
    for (const auto& parameter : one.parameters) {
      gradients.insert(gradients.end(), parameter.gradient.begin(), parameter.gradient.end());
    }
    EXPECT_GT(largestMagnitude(gradients), 0);
    EXPECT_TRUE(isIdentical(gradients, std::as_const(*layer).parameters().gradients()));
    // Once more: twice as much of everything, to the bit, for the layer keeps nothing of the first time.
    one.attention.backward(one.outputGradient, toItself ? nullptr : &contextGradient);
    for (float& value : gradients) value *= 2;
    std::size_t i = 0;
    for (const auto& parameter : one.parameters) {
      for (const float value : parameter.gradient) ASSERT_EQ(value, gradients[i++]);
    }
    if (toItself) continue;
    for (Index word = 0; word < contextGradient.size(); ++word) {
      ASSERT_EQ(contextGradient.data()[word], 2 * layer->contextGradient()->data()[word]);
    }
  }
}

TEST(DenoiserAttentionTest, WhatIsNotTrainableKeepsItsGradient) {
  constexpr std::size_t kParameters = 5;
  Case<float> whole(false);
  Tensor<float> contextGradient = Tensor<float>::zeros(whole.context->shape());
  whole.forward(true);
  const Tensor<float> inputGradient = whole.attention.backward(whole.outputGradient, &contextGradient);
  for (std::size_t frozen = 0; frozen <= kParameters; ++frozen) {
    Case<float> one(false);
    std::size_t index = 0;
    // At last all of them.
    for (auto& parameter : one.parameters) {
      parameter.trainable = index++ != frozen && frozen < kParameters;
    }
    Tensor<float> again = Tensor<float>::zeros(whole.context->shape());
    one.forward(true);
    EXPECT_TRUE(isIdentical(one.attention.backward(one.outputGradient, &again), inputGradient));
    EXPECT_TRUE(isIdentical(again, contextGradient));
    auto expected = whole.parameters.begin();
    for (const auto& parameter : one.parameters) {
      if (parameter.trainable) {
        EXPECT_TRUE(isIdentical(copyOf(parameter.gradient), copyOf(expected->gradient)));
      } else {
        EXPECT_EQ(largestMagnitude(copyOf(parameter.gradient)), 0) << parameter.name;
      }
      ++expected;
    }
  }
}

TEST(DenoiserAttentionTest, AChangeIsSeenOnceItIsTold) {
  Case<double> one(false);
  const Tensor<double> before = one.forward();
  const Tensor<double> given = one.probabilities();
  one.forwardWith(given);
  auto& bias = one.parameters.find("attn.to_out.0.bias")->values;
  auto& values = one.parameters.find("attn.to_v.weight")->values;
  bias[3] += 1;
  for (double& value : values) value *= 2;
  one.parameters.touch();
  const Tensor<double> after = one.forward();
  EXPECT_TRUE(isIdentical(after, one.layerAlone()->forward(one.tokens, one.contextPointer(), one.mask)));
  EXPECT_FALSE(isNear(after, before, 0.5));
  EXPECT_TRUE(isNear(one.forwardWith(given), after, 1e-12));
}

TEST(DenoiserAttentionTest, ProbabilitiesAreASoftmaxOverTheKeys) {
  for (const bool toItself : {false, true}) {
    Case<double> one(toItself);
    const Index keys = toItself ? kTokens : kWords;
    const Tensor<double> probabilities = one.probabilities();
    ASSERT_EQ(probabilities.shape(), (Shape{kBatch, kHeads, kTokens, keys}));
    const auto layer = one.layerAlone();
    const Tensor<double> maps =
        layer->attentionMaps(one.tokens, one.contextPointer(), one.mask, layer::MapHeads::kAll);
    for (Index row = 0; row < kBatch * kHeads * kTokens; ++row) {
      double sum = 0;
      for (Index key = 0; key < keys; ++key) {
        const double probability = probabilities.data()[row * keys + key];
        sum += probability;
        const Index pair = row / kTokens;
        ASSERT_EQ(probability, maps.data()[(pair * keys + key) * kTokens + row % kTokens]);
        const bool isMasked = !toItself && pair < kHeads && (key == 1 || key == 3);
        EXPECT_EQ(probability == 0, isMasked);
      }
      // Nine roundings of numbers below 1, and 2^x to some 1e-15.
      EXPECT_NEAR(sum, 1, 1e-13);
    }
  }
}

TEST(DenoiserAttentionTest, ItsOwnProbabilitiesGiveItsOwnOutput) {
  for (const bool toItself : {false, true}) {
    // log and 2^x of a probability: some roundings of log2(P), which is above -50: 50·ε relatively, of outputs of 10 or so.
    Case<double> one(toItself);
    EXPECT_TRUE(isNear(one.forwardWith(one.probabilities()), one.forward(), 1e-12));
    Case<float> inFloat(toItself);
    EXPECT_TRUE(isNear(inFloat.forwardWith(inFloat.probabilities()), inFloat.forward(), 1e-4));
  }
}

TEST(DenoiserAttentionTest, GivenProbabilitiesChooseTheValues) {
  Case<double> one(false);
  constexpr Index kChosen = 3;
  Tensor<double> given = Tensor<double>::zeros(Shape{kBatch, kHeads, kTokens, kWords});
  for (Index row = 0; row < kBatch * kHeads * kTokens; ++row) {
    given.data()[row * kWords + kChosen] = 1;
  }
  const Tensor<double> output = one.forwardWith(given);
  const auto& valueWeight = one.parameters.find("attn.to_v.weight")->values;
  const auto& outputWeight = one.parameters.find("attn.to_out.0.weight")->values;
  const auto& bias = one.parameters.find("attn.to_out.0.bias")->values;
  for (Index row = 0; row < kBatch; ++row) {
    const double* word = one.context->data() + (row * kWords + kChosen) * kWordFeatures;
    for (Index feature = 0; feature < kFeatures; ++feature) {
      double expected = bias[feature];
      for (Index inner = 0; inner < kFeatures; ++inner) {
        double value = 0;
        for (Index i = 0; i < kWordFeatures; ++i) {
          value += valueWeight[inner * kWordFeatures + i] * word[i];
        }
        expected += outputWeight[feature * kFeatures + inner] * value;
      }
      for (Index token = 0; token < kTokens; ++token) {
        // Sums of 7 and of 10 products of 1 or so: fewer than a hundred roundings of 2e-16.
        ASSERT_NEAR(output.data()[(row * kTokens + token) * kFeatures + feature], expected, 1e-13);
      }
    }
  }
}

}  // namespace cross_attention::test::denoiser_attention_test
