#include "denoiser/scene_batch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "scenes/scene.hpp"

namespace cross_attention::test::denoiser_scene_batch_test {

namespace {

using denoiser::Batch;
using denoiser::Configuration;
using denoiser::Denoiser;
using denoiser::sceneBatch;
using denoiser::SceneShares;
using denoiser::sceneVocabulary;
using scenes::nameOf;
using scenes::Role;
using scenes::ShapeKind;

constexpr Index kScenes = 1000;

/// What the captions of a batch show.
struct Kinds {
  Index singles = 0;
  Index insides = 0;
};

Kinds kindsOf(const SceneShares& shares) {
  Configuration configuration;
  configuration.features = 8;
  configuration.blocks = 1;
  configuration.textFeatures = 8;
  configuration.textBlocks = 1;
  const Denoiser<float> denoiser(configuration, sceneVocabulary(), 1);
  Random random(4);
  const Batch<float> batch = sceneBatch(denoiser, kScenes, random, shares);
  const auto& vocabulary = denoiser.vocabulary();
  Kinds kinds;
  for (const auto& prompt : batch.prompts) {
    const auto count = [&](std::string_view word) {
      return std::count(prompt.begin(), prompt.end(), vocabulary.find(std::string(word)));
    };
    std::ptrdiff_t shapes = 0;
    for (int shape = 0; shape < scenes::kShapeKinds; ++shape) {
      shapes += count(nameOf(static_cast<ShapeKind>(shape)));
    }
    kinds.singles += shapes == 1 ? 1 : 0;
    kinds.insides += count(nameOf(Role::kInside)) + count(nameOf(Role::kAround)) > 0 ? 1 : 0;
  }
  return kinds;
}

/// Whether so many of kScenes are a share of them: five standard deviations to either side.
void expectShare(Index count, double share) {
  const auto scenes = static_cast<double>(kScenes);
  EXPECT_NEAR(static_cast<double>(count) / scenes, share, 5 * std::sqrt(share * (1 - share) / scenes));
}

}  // namespace

TEST(SceneBatchTest, WithoutSharesSceneKindsComeByChance) {
  const Kinds kinds = kindsOf({});
  // One object in a fifth of the scenes; two in two fifths, a fifth of whose relations is "inside".
  expectShare(kinds.singles, 0.2);
  expectShare(kinds.insides, 0.08);
}

TEST(SceneBatchTest, SharesComeBesideWhatComesByChance) {
  const Kinds kinds = kindsOf({.singles = 0.25, .insides = 0.3});
  expectShare(kinds.singles, 0.25 + 0.45 * 0.2);
  expectShare(kinds.insides, 0.3 + 0.45 * 0.08);
}

TEST(SceneBatchTest, AShareOfOneIsAll) {
  EXPECT_EQ(kindsOf({.singles = 1}).singles, kScenes);
  EXPECT_EQ(kindsOf({.insides = 1}).insides, kScenes);
}

}  // namespace cross_attention::test::denoiser_scene_batch_test
