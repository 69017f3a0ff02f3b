#include "denoiser/scene_places.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "denoiser/trainer.hpp"
#include "support/tiny_denoiser.hpp"

namespace cross_attention::test::denoiser_scene_places_test {

namespace {

using denoiser::Batch;
using denoiser::Configuration;
using denoiser::describePlaces;
using denoiser::kPlaceValues;
using denoiser::Trainer;
using scenes::Scene;
using scenes::ShapeKind;

std::vector<double> placesOf(const Scene& scene, const Configuration& configuration) {
  std::vector<double> values(static_cast<std::size_t>(configuration.tokens() * kPlaceValues));
  describePlaces<double>(scene, configuration, values);
  return values;
}

/// What of the places has been told for some of them: never a number for what nothing is to be known of.
Tensor<double> tinyPlaces() {
  Random random(21);
  Tensor<double> places(Shape{3, tinyConfiguration().tokens(), kPlaceValues});
  for (double& value : places) {
    value = random.uniform() < 0.3 ? std::numeric_limits<double>::quiet_NaN() : random.normal();
  }
  return places;
}

}  // namespace

TEST(ScenePlacesTest, TokensKnowWhatLiesThere) {
  Scene scene;
  scene.objects = {{.shape = ShapeKind::kSquare, .x = 18, .y = 10, .radius = 7},
                   {.shape = ShapeKind::kRing, .x = 17, .y = 11, .radius = 3}};
  const std::vector<double> places = placesOf(scene, Configuration());
  const auto at = [&](Index column, Index row) {
    return places.begin() + static_cast<std::ptrdiff_t>((row * 8 + column) * kPlaceValues);
  };
  // Far from both.
  EXPECT_EQ(*at(0, 7), -1);
  for (Index i = 1; i < kPlaceValues; ++i) EXPECT_TRUE(std::isnan(at(0, 7)[i]));
  // Of the square alone, from x = 20 to 24 and y = 0 to 4: its box begins at y = 3.
  const std::vector<double> square{1, 0, 2, 0, 0, 0, 0, (18 - 22) / 4.0, (10 - 2) / 4.0, 0.25};
  EXPECT_EQ(std::vector<double>(at(5, 0), at(5, 0) + kPlaceValues), square);
  // Of both: the ring is smaller.
  const std::vector<double> ring{1, 0, 0, 0, 0, 2, 0, (17 - 18) / 4.0, (11 - 10) / 4.0, -0.75};
  EXPECT_EQ(std::vector<double>(at(4, 2), at(4, 2) + kPlaceValues), ring);
}

TEST(ScenePlacesTest, GradientsOfTheirLossAreCentralDifferences) {
  TinyDenoiser<double> denoiser;
  Trainer<double> trainer(denoiser, {.promptDropout = 0, .alignment = 3});
  const Batch<double> alone = tinyBatch<double>();
  Batch<double> batch = tinyBatch<double>();
  batch.places = tinyPlaces();
  const auto learn = [&](const Batch<double>& from) {
    denoiser.parameters().touch();
    Random random(9);
    trainer.loss(from, random, true);
    return trainer.placesLoss();
  };
  EXPECT_EQ(learn(alone), 0);
  const std::vector<double> ofPicture = allGradients(denoiser.parameters());
  denoiser.parameters().clearGradients();
  EXPECT_GT(learn(batch), 0.1);
  const std::vector<double> ofBoth = allGradients(denoiser.parameters());
  constexpr double kStep = 1e-4;
  std::size_t offset = 0;
  for (auto& parameter : denoiser.parameters()) {
    const Index i = parameter.shape.size() / 2;
    double& value = parameter.values[i];
    const double before = value;
    const auto quotient = [&](double step) {
      value = before + step;
      const double above = learn(batch);
      value = before - step;
      const double below = learn(batch);
      value = before;
      return (above - below) / (2 * step);
    };
    const double one = quotient(kStep);
    // Truncation is c·h² + …: that of h is a third of how far 2h is from h. All of it is allowed, and the rounding of a loss
    // of a few units through some 50 operators.
    const double allowed = std::abs(quotient(2 * kStep) - one) + 1e-12 / kStep;
    const std::size_t place = offset + static_cast<std::size_t>(i);
    EXPECT_NEAR(ofBoth[place] - ofPicture[place], one, allowed) << parameter.name;
    offset += static_cast<std::size_t>(parameter.shape.size());
  }
}

TEST(ScenePlacesTest, OfAnotherShapeTheyAreRefused) {
  TinyDenoiser<double> denoiser;
  Trainer<double> trainer(denoiser, {});
  Batch<double> batch = tinyBatch<double>();
  batch.places = Tensor<double>::zeros(Shape{3, 5, kPlaceValues});
  Random random(1);
  try {
    trainer.loss(batch, random, true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kShape);
    EXPECT_NE(error.message().find("places"), std::string::npos) << error.message();
  }
}

}  // namespace cross_attention::test::denoiser_scene_places_test
