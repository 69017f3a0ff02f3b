#include "denoiser/denoiser.hpp"

#include <gtest/gtest.h>

#include <set>

#include "denoiser/batch_rows.hpp"
#include "denoiser/patches.hpp"
#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/tiny_denoiser.hpp"

namespace cross_attention::test::denoiser_test {

namespace {

using denoiser::Attention;
using denoiser::AttentionControl;
using denoiser::batchRows;
using denoiser::Configuration;
using denoiser::Denoiser;
using denoiser::Mask;
using denoiser::Prompts;

using PromptList = std::vector<std::vector<std::int32_t>>;

/// A forward of everything.
template <class T>
Tensor<T> estimate(Denoiser<T>& denoiser, const Tensor<T>& noisy, const std::vector<T>& times,
                   const PromptList& prompts) {
  return denoiser.forward(noisy, times, denoiser.encode(Prompts(prompts), false), false);
}

template <class T>
const std::vector<T> kTimes = {T(0.1), T(0.5), T(0.9)};

/// Leaves everything to the attention, and counts.
class Watching final : public AttentionControl<double> {
 public:
  std::vector<Index> picture, text;

  Tensor<double> attendToPicture(Index block, Attention<double>& attention,
                                 const Tensor<double>& tokens) override {
    picture.push_back(block);
    return attention.forward(tokens, nullptr, {}, false);
  }
  Tensor<double> attendToText(Index block, Attention<double>& attention, const Tensor<double>& tokens,
                              const Tensor<double>& context, const Mask<double>& mask) override {
    text.push_back(block);
    return attention.forward(tokens, &context, mask, false);
  }
};

}  // namespace

TEST(DenoiserTest, RefusesWhatCannotBe) {
  const auto refuses = [](auto change) {
    Configuration configuration = tinyConfiguration();
    change(configuration);
    return failsWith(ErrorCode::kArgument, [&] { Denoiser<float>(configuration, tinyVocabulary(), 0); });
  };
  EXPECT_FALSE(refuses([](Configuration&) {}));
  EXPECT_FALSE(refuses([](Configuration& configuration) { configuration.textBlocks = 0; }));
  for (Index Configuration::*member :
       {&Configuration::imageSize, &Configuration::patch, &Configuration::features, &Configuration::blocks,
        &Configuration::numHeads, &Configuration::textFeatures, &Configuration::textHeads,
        &Configuration::maxWords, &Configuration::expansion}) {
    for (const Index value : {Index(-1), Index(0), Index(16385)}) {
      EXPECT_TRUE(refuses([&](Configuration& configuration) { configuration.*member = value; }));
    }
  }
  EXPECT_TRUE(refuses([](Configuration& configuration) { configuration.textBlocks = -1; }));
  EXPECT_TRUE(refuses([](Configuration& configuration) { configuration.patch = 3; }));
  EXPECT_TRUE(refuses([](Configuration& configuration) { configuration.numHeads = 3; }));
  EXPECT_TRUE(refuses([](Configuration& configuration) { configuration.textHeads = 5; }));
  // Divisible by the heads, but not by four.
  EXPECT_TRUE(refuses([](Configuration& configuration) { configuration.features = 18; }));
}

TEST(DenoiserTest, ANewOneEstimatesZero) {
  // The output's weights begin with zeros.
  Denoiser<float> denoiser(tinyConfiguration(), tinyVocabulary(), 1);
  const auto batch = tinyBatch<float>();
  const Tensor<float> output = estimate(denoiser, batch.pictures, kTimes<float>, batch.prompts);
  EXPECT_EQ(output.shape(), batch.pictures.shape());
  EXPECT_EQ(largestMagnitude(output), 0);
}

TEST(DenoiserTest, ParametersHaveNamesOfTheirOwn) {
  TinyDenoiser<float> denoiser;
  std::set<std::string> names;
  for (const auto& parameter : denoiser.parameters()) {
    EXPECT_TRUE(names.insert(parameter.name).second) << parameter.name;
  }
  for (const char* name :
       {"text.embedding.weight", "text.blocks.1.attn1.to_q.weight",
        "transformer_blocks.1.attn1.to_out.0.bias", "transformer_blocks.0.attn2.to_k.weight",
        "transformer_blocks.0.scale_shift_table", "positions", "patch_out.bias"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  const auto attentions = denoiser.attentions();
  ASSERT_EQ(attentions.size(), 4u);
  EXPECT_EQ(attentions[1]->name(), "transformer_blocks.1.attn2");
  EXPECT_EQ(attentions[2]->name(), "transformer_blocks.0.attn1");
}

TEST(DenoiserTest, FillingSaysNothing) {
  TinyDenoiser<double> denoiser;
  const auto batch = tinyBatch<double>();
  const Tensor<double> together = estimate(denoiser, batch.pictures, kTimes<double>, batch.prompts);
  for (Index row = 0; row < 3; ++row) {
    const auto i = static_cast<std::size_t>(row);
    // Alone a prompt has no filling. Sums over other numbers of rows and keys may be blocked otherwise: rounding of
    // outputs of 10 or so through some 50 operators.
    const Tensor<double> alone = estimate<double>(denoiser, batchRows(batch.pictures, row, 1),
                                                  {kTimes<double>[i]}, {batch.prompts[i]});
    EXPECT_TRUE(isNear(batchRows(together, row, 1), alone, 1e-11)) << "row " << row;
  }
  // What filling's embedding is makes no difference at all.
  auto& table = denoiser.textEncoder().embedding().table();
  for (Index i = 0; i < table.shape[1]; ++i) table.values[i] = 100;
  denoiser.parameters().touch();
  EXPECT_TRUE(isIdentical(estimate(denoiser, batch.pictures, kTimes<double>, batch.prompts), together));
}

TEST(DenoiserTest, RowsOfABatchDoNotSeeEachOther) {
  TinyDenoiser<double> denoiser;
  auto batch = tinyBatch<double>();
  const Tensor<double> before = estimate(denoiser, batch.pictures, kTimes<double>, batch.prompts);
  // Another picture, time and prompt in the middle, of the same length.
  std::vector<double> times = kTimes<double>;
  times[1] = 0.3;
  batch.prompts[1] = {1, 5};
  const Tensor<double> other = tinyBatch<double>(77).pictures;
  denoiser::setBatchRows(batch.pictures, 1, batchRows(other, 1, 1));
  const Tensor<double> after = estimate(denoiser, batch.pictures, times, batch.prompts);
  for (const Index row : {0, 2}) {
    EXPECT_TRUE(isIdentical(batchRows(after, row, 1), batchRows(before, row, 1))) << "row " << row;
  }
  EXPECT_FALSE(isNear(batchRows(after, 1, 1), batchRows(before, 1, 1), 1e-2));
}

TEST(DenoiserTest, PictureTimeAndEveryWordCount) {
  TinyDenoiser<double> denoiser;
  const Tensor<double> picture = batchRows(tinyBatch<double>().pictures, 0, 1);
  const Tensor<double> other = batchRows(tinyBatch<double>().pictures, 1, 1);
  const auto with = [&](const Tensor<double>& noisy, double time, const std::vector<std::int32_t>& prompt) {
    return estimate<double>(denoiser, noisy, {time}, {prompt});
  };
  const Tensor<double> output = with(picture, 0.5, {1, 2, 4, 5});
  // Far beyond rounding.
  constexpr double kSeen = 1e-3;
  EXPECT_FALSE(isNear(with(other, 0.5, {1, 2, 4, 5}), output, kSeen));
  EXPECT_FALSE(isNear(with(picture, 0.6, {1, 2, 4, 5}), output, kSeen));
  EXPECT_FALSE(isNear(with(picture, 0.5, {1, 3, 4, 5}), output, kSeen));
  EXPECT_FALSE(isNear(with(picture, 0.5, {1, 2, 5, 4}), output, kSeen)) << "the order of words";
  EXPECT_FALSE(isNear(with(picture, 0.5, {1}), output, kSeen));
}

TEST(DenoiserTest, PromptsAreEncodedOnceForManyForwards) {
  TinyDenoiser<float> denoiser;
  const auto batch = tinyBatch<float>();
  const Tensor<float> other = tinyBatch<float>(6).pictures;
  const std::vector<float> later = {0.2f, 0.6f, 1.0f};
  const auto encoded = denoiser.encode(Prompts(batch.prompts), false);
  EXPECT_EQ(encoded.context.shape(), (Shape{3, 5, 12}));
  const Tensor<float> first = denoiser.forward(batch.pictures, kTimes<float>, encoded, false);
  const Tensor<float> second = denoiser.forward(other, later, encoded, false);
  EXPECT_TRUE(isIdentical(first, estimate(denoiser, batch.pictures, kTimes<float>, batch.prompts)));
  EXPECT_TRUE(isIdentical(second, estimate(denoiser, other, later, batch.prompts)));
  // What is kept for a backward changes nothing.
  const auto kept = denoiser.encode(Prompts(batch.prompts), true);
  EXPECT_TRUE(isIdentical(denoiser.forward(other, later, kept, true), second));
}

TEST(DenoiserTest, AControlDoesEveryBlocksAttention) {
  TinyDenoiser<double> denoiser;
  const auto batch = tinyBatch<double>();
  const auto encoded = denoiser.encode(Prompts(batch.prompts), false);
  Watching control;
  const Tensor<double> output = denoiser.forward(batch.pictures, kTimes<double>, encoded, false, &control);
  EXPECT_TRUE(isIdentical(output, denoiser.forward(batch.pictures, kTimes<double>, encoded, false)));
  EXPECT_EQ(control.picture, (std::vector<Index>{0, 1}));
  EXPECT_EQ(control.text, (std::vector<Index>{0, 1}));
}

TEST(DenoiserTest, PatchesGoThereAndBack) {
  Random random(1);
  const Tensor<float> pictures = normalTensor<float>(random, Shape{2, 3, 6, 6});
  for (const Index patch : {1, 2, 3, 6}) {
    const Tensor<float> patches = denoiser::toPatches(denoiser::toPixels(pictures), patch);
    const Index across = 6 / patch;
    ASSERT_EQ(patches.shape(), (Shape{2, across * across, patch * patch * 3}));
    EXPECT_TRUE(isIdentical(denoiser::fromPixels(denoiser::fromPatches(patches, patch)), pictures));
    // Patches row by row, within them pixels row by row, channels innermost.
    const float* value = patches.data();
    for (Index row = 0; row < 2; ++row) {
      for (Index token = 0; token < across * across; ++token) {
        for (Index pixel = 0; pixel < patch * patch; ++pixel) {
          for (Index channel = 0; channel < 3; ++channel) {
            const Index y = token / across * patch + pixel / patch;
            const Index x = token % across * patch + pixel % patch;
            ASSERT_EQ(*value++, pictures.data()[((row * 3 + channel) * 6 + y) * 6 + x]);
          }
        }
      }
    }
  }
}

TEST(DenoiserTest, AWordMoreLeavesOldPromptsAsTheyWere) {
  TinyDenoiser<float> denoiser;
  const auto batch = tinyBatch<float>();
  const Tensor<float> before = estimate(denoiser, batch.pictures, kTimes<float>, batch.prompts);
  EXPECT_EQ(denoiser.addWord("sphere", "circle"), 6);
  EXPECT_EQ(denoiser.vocabulary().find("sphere"), 6);
  EXPECT_TRUE(isIdentical(estimate(denoiser, batch.pictures, kTimes<float>, batch.prompts), before));
  // The new one's embedding is its model's.
  PromptList prompts = batch.prompts;
  for (auto& prompt : prompts) std::replace(prompt.begin(), prompt.end(), 4, 6);
  EXPECT_TRUE(isIdentical(estimate(denoiser, batch.pictures, kTimes<float>, prompts), before));

  const auto& words = denoiser.vocabulary().words();
  const std::size_t known = words.size();
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { denoiser.addWord("red", "blue"); }));
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { denoiser.addWord("cube", "box"); }));
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { denoiser.addWord("a cube", "square"); }));
  EXPECT_EQ(words.size(), known);
  EXPECT_EQ(denoiser.textEncoder().embedding().table().shape[0], 7);
}

TEST(DenoiserTest, TheSeedDecidesTheParameters) {
  const auto valuesOf = [](std::uint64_t seed) {
    return allValues(Denoiser<float>(tinyConfiguration(), tinyVocabulary(), seed).parameters());
  };
  EXPECT_TRUE(isIdentical(valuesOf(1), valuesOf(1)));
  EXPECT_FALSE(isIdentical(valuesOf(1), valuesOf(2)));
}

}  // namespace cross_attention::test::denoiser_test
