#include "scenes/random_scene.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "core/error.hpp"
#include "scenes/draw.hpp"
#include "scenes/geometry.hpp"
#include "support/build.hpp"

namespace cross_attention::scenes::test::random_scene_test {

namespace {

using cross_attention::test::reduced;

constexpr int kScenes = reduced(40000, 4000);
// Coordinates are floats below 32: half a unit in the last place is 1e-6. A few of them are added.
constexpr double kRounding = 1e-5;

const Object& subjectOf(const Scene& scene, const Link& link) {
  return scene.objects[static_cast<std::size_t>(link.subject)];
}
const Object& objectOf(const Scene& scene, const Link& link) {
  return scene.objects[static_cast<std::size_t>(link.object)];
}

/// Returns half the height of an object. A triangle is equilateral. The distance of a star's upper points is
/// its width.
double halfHeight(const Object& object) {
  const double degree = std::acos(-1.0) / 180;
  const double radius = object.radius;
  if (object.shape == ShapeKind::kTriangle) return radius * std::sqrt(3.0) / 2;
  if (object.shape == ShapeKind::kStar) {
    return radius * (1 + std::cos(36 * degree)) / 2 / std::sin(72 * degree);
  }
  return radius;
}

/// Returns the distance of the bounding boxes along each axis. Negative values are overlaps.
std::array<double, 2> gaps(const Object& one, const Object& other) {
  return {std::abs(double{one.x} - double{other.x}) - double{one.radius} - double{other.radius},
          std::abs(double{one.y} - double{other.y}) - halfHeight(one) - halfHeight(other)};
}

void expectSeparated(const Object& subject, Relation relation, const Object& object) {
  const double x = double{object.x} - double{subject.x};
  const double y = double{object.y} - double{subject.y};
  const auto [gapX, gapY] = gaps(subject, object);
  switch (relation) {
    case Relation::kLeftOf:
    case Relation::kRightOf:
      EXPECT_EQ(relation == Relation::kLeftOf, x > 0);
      EXPECT_GE(std::abs(x), 1.3 * std::abs(y) - kRounding);
      EXPECT_GE(gapX, 2 - kRounding);
      break;
    case Relation::kAbove:
    case Relation::kBelow:
      EXPECT_EQ(relation == Relation::kAbove, y > 0);
      EXPECT_GE(std::abs(y), 1.3 * std::abs(x) - kRounding);
      EXPECT_GE(gapY, 2 - kRounding);
      break;
    case Relation::kInside:
      FAIL();
  }
}

/// Returns the coverage of each pixel by one object, in a picture of eight times the size.
std::vector<float> coverage(const Object& object) {
  constexpr Index kSize = 256;
  Scene scene;
  scene.background = Background::kBlack;
  scene.objects = {object};
  scene.objects[0].rgb = {1, 1, 1};
  std::vector<float> rgb(std::size_t{3} * kSize * kSize);
  draw(scene, kSize, rgb);
  rgb.resize(rgb.size() / 3);
  for (float& sample : rgb) sample = (sample + 1) / 2;
  return rgb;
}

bool isIn(float value, double low, double high) {
  return value >= low - kRounding && value <= high + kRounding;
}

/// Expects `times` to be `share` of `draws` within five standard deviations.
void expectShare(int times, int draws, double share) {
  EXPECT_NEAR(times, draws * share, 5 * std::sqrt(draws * share * (1 - share)));
}

template <class Visit>
void forRandomScenes(std::uint64_t seed, Split split, int scenes, Visit visit) {
  Random random(seed);
  for (int scene = 0; scene < scenes; ++scene) {
    visit(randomScene(random, split));
    if (testing::Test::HasFailure()) FAIL() << "scene " << scene << " of seed " << seed;
  }
}

}  // namespace

TEST(RandomSceneTest, LinksAreTrue) {
  for (const Split split : {Split::kTraining, Split::kHeldOut}) {
    forRandomScenes(3, split, kScenes, [](const Scene& scene) {
      EXPECT_TRUE(isConsistent(scene));
      for (const Link& link : scene.links) {
        EXPECT_TRUE(holds(link.relation, subjectOf(scene, link), objectOf(scene, link)));
        if (link.relation == Relation::kInside) continue;
        expectSeparated(subjectOf(scene, link), link.relation, objectOf(scene, link));
      }
    });
  }
}

TEST(RandomSceneTest, InnerObjectLiesOnTheOuterObjectOrInItsHole) {
  int rings = 0;
  forRandomScenes(4, Split::kTraining, reduced(3000, 300), [&](const Scene& scene) {
    if (scene.links.empty() || scene.links[0].relation != Relation::kInside) return;
    const Object& inner = subjectOf(scene, scene.links[0]);
    const Object& outer = objectOf(scene, scene.links[0]);
    EXPECT_NE(inner.colour, outer.colour);
    const bool ring = outer.shape == ShapeKind::kRing;
    rings += ring ? 1 : 0;
    const std::vector<float> within = coverage(inner);
    const std::vector<float> around = coverage(outer);
    for (std::size_t pixel = 0; pixel < within.size(); ++pixel) {
      if (within[pixel] == 0) continue;
      ASSERT_EQ(around[pixel], ring ? 0 : 1);
    }
    if (ring) {
      const double x = double{inner.x} - double{outer.x};
      const double y = double{inner.y} - double{outer.y};
      EXPECT_LT(std::sqrt(x * x + y * y), 0.55 * double{outer.radius} - double{inner.radius} / 1.2);
    }
  });
  EXPECT_GT(rings, 0);
}

TEST(RandomSceneTest, BoxesAreInsideThePictureAndDisjoint) {
  forRandomScenes(5, Split::kTraining, kScenes, [](const Scene& scene) {
    for (const Object& object : scene.objects) {
      EXPECT_TRUE(isIn(object.x, 1 + double{object.radius}, 31 - double{object.radius}));
      EXPECT_TRUE(isIn(object.y, 1 + halfHeight(object), 31 - halfHeight(object)));
      const Box box = boxOf(object);
      EXPECT_NEAR(box.right - box.left, 2 * object.radius, kRounding);
      EXPECT_NEAR(box.bottom - box.top, 2 * halfHeight(object), kRounding);
    }
    const bool inside = !scene.links.empty() && scene.links[0].relation == Relation::kInside;
    for (const Object& one : scene.objects) {
      for (const Object& other : scene.objects) {
        if (&one == &other || inside) continue;
        EXPECT_GE(std::ranges::max(gaps(one, other)), 2 - kRounding);
        EXPECT_FALSE(one.colour == other.colour && one.shape == other.shape);
      }
    }
  });
}

TEST(RandomSceneTest, SizesMatchTheirWords) {
  forRandomScenes(6, Split::kTraining, kScenes, [](const Scene& scene) {
    const bool alone = scene.links.empty();
    const bool inside = !alone && scene.links[0].relation == Relation::kInside;
    const bool said = std::ranges::any_of(
        scene.objects, [](const Object& object) { return object.size != SizeWord::kNone; });
    for (const Object& object : scene.objects) {
      const float radius = object.radius;
      const bool outer = inside && &object == &objectOf(scene, scene.links[0]);
      const bool ring = inside && objectOf(scene, scene.links[0]).shape == ShapeKind::kRing;
      if (outer) {
        EXPECT_TRUE(ring ? isIn(radius, 14, 15) : isIn(radius, 11, 13));
        EXPECT_NE(object.size, SizeWord::kSmall);
      } else if (inside) {
        EXPECT_TRUE(isIn(radius, ring ? 4.2 : 5.2, ring ? 4.8 : 5.8));
        EXPECT_NE(object.size, SizeWord::kLarge);
      } else if (object.size == SizeWord::kSmall) {
        EXPECT_TRUE(isIn(radius, 5.2, 5.8));
      } else if (object.size == SizeWord::kLarge) {
        EXPECT_TRUE(isIn(radius, 7.2, alone ? 11.0 : 8.5));
      } else {
        EXPECT_TRUE(said ? isIn(radius, 6.0, 7.0) : isIn(radius, 5.2, alone ? 11.0 : 8.5));
      }
    }
  });
}

TEST(RandomSceneTest, SharesOfTheTrainingMixture) {
  std::map<std::size_t, int> objects;
  std::map<Relation, int> ofPairs;
  std::map<Relation, int> ofTriples;
  std::map<Background, int> backgrounds;
  int said = 0;
  forRandomScenes(7, Split::kTraining, kScenes, [&](const Scene& scene) {
    ++objects[scene.objects.size()];
    ++backgrounds[scene.background];
    said += scene.backgroundSaid ? 1 : 0;
    ASSERT_EQ(scene.links.size(), scene.objects.size() - 1);
    for (const Link& link : scene.links) {
      ++(scene.links.size() == 1 ? ofPairs : ofTriples)[link.relation];
      EXPECT_EQ(link.subject, 0);
    }
    if (scene.links.size() == 2) {
      const auto isBeside = [](const Link& link) {
        return link.relation == Relation::kLeftOf || link.relation == Relation::kRightOf;
      };
      EXPECT_NE(isBeside(scene.links[0]), isBeside(scene.links[1]));
    }
  });
  expectShare(objects[1], kScenes, 0.2);
  expectShare(objects[2], kScenes, 0.4);
  expectShare(objects[3], kScenes, 0.4);
  expectShare(said, kScenes, 0.4);
  for (const auto& [background, times] : backgrounds) expectShare(times, kScenes, 0.25);
  EXPECT_EQ(ofPairs.size(), 5U);
  for (const auto& [relation, times] : ofPairs) expectShare(times, objects[2], 0.2);
  EXPECT_EQ(ofTriples.size(), 4U);
  EXPECT_EQ(ofTriples.count(Relation::kInside), 0U);
  // Each triple has two of the four relations.
  for (const auto& [relation, times] : ofTriples) expectShare(times, objects[3], 0.5);
}

TEST(RandomSceneTest, ColoursAreJitteredAndDistinct) {
  std::vector<Rgb> paints;
  for (int colour = 0; colour < kColours; ++colour) {
    paints.push_back(rgbOf(static_cast<Colour>(colour)));
  }
  for (int background = 0; background < kBackgrounds; ++background) {
    paints.push_back(rgbOf(static_cast<Background>(background)));
  }
  for (const Rgb& one : paints) {
    for (const Rgb& other : paints) {
      const float distance = std::hypot(one[0] - other[0], one[1] - other[1], one[2] - other[2]);
      // Jitter reduces the distance of two colours by at most 2 · 0.04·√3 = 0.14.
      if (&one != &other) {
        EXPECT_GT(distance, 0.4F);
      }
    }
  }
  double square = 0;
  int channels = 0;
  forRandomScenes(8, Split::kTraining, kScenes, [&](const Scene& scene) {
    for (const Object& object : scene.objects) {
      for (std::size_t channel = 0; channel < 3; ++channel) {
        const double jitter = double{object.rgb[channel]} - double{rgbOf(object.colour)[channel]};
        EXPECT_LE(std::abs(jitter), 0.04 + 1e-6);
        EXPECT_TRUE(object.rgb[channel] >= 0 && object.rgb[channel] <= 1);
        square += jitter * jitter;
        ++channels;
      }
    }
  });
  // Uniform jitter: the mean of the square is 0.04²/3 and that of its square is 0.04⁴/5. Five standard errors
  // of the mean.
  const double expected = 0.04 * 0.04 / 3;
  const double deviation = std::sqrt(std::pow(0.04, 4) / 5 - expected * expected);
  EXPECT_NEAR(square / channels, expected, 5 * deviation / std::sqrt(channels));
}

TEST(RandomSceneTest, AcceptsANumberOfObjects) {
  Random random(9);
  for (int draw = 0; draw < 100; ++draw) {
    for (const int objects : {1, 2, 3}) {
      EXPECT_EQ(randomScene(random, Split::kTraining, objects).objects.size(),
                static_cast<std::size_t>(objects));
      if (objects == 1) continue;
      EXPECT_EQ(randomScene(random, Split::kHeldOut, objects).objects.size(),
                static_cast<std::size_t>(objects));
    }
    EXPECT_GE(randomScene(random, Split::kHeldOut).objects.size(), 2U);
  }
}

TEST(RandomSceneTest, RefusesWrongNumbersOfObjectsWithoutDrawing) {
  Random random(10);
  Random untouched(10);
  EXPECT_THROW(randomScene(random, Split::kTraining, -1), Error);
  EXPECT_THROW(randomScene(random, Split::kTraining, 4), Error);
  EXPECT_THROW(randomScene(random, Split::kHeldOut, 1), Error);
  EXPECT_EQ(random.next(), untouched.next());
}

TEST(RandomSceneTest, DetectsFalseLinks) {
  Scene scene;
  scene.objects = {{.shape = ShapeKind::kCircle, .x = 8, .y = 16, .radius = 4},
                   {.shape = ShapeKind::kSquare, .x = 22, .y = 16, .radius = 4}};
  scene.links = {{0, Relation::kLeftOf, 1}};
  EXPECT_TRUE(isConsistent(scene));
  const auto isTrueWith = [&](auto change) {
    Scene changed = scene;
    change(changed);
    return isConsistent(changed);
  };
  EXPECT_FALSE(isTrueWith([](Scene& s) { s.links[0].relation = Relation::kRightOf; }));
  EXPECT_FALSE(isTrueWith([](Scene& s) { s.links[0].relation = Relation::kAbove; }));
  EXPECT_FALSE(isTrueWith([](Scene& s) { s.links[0].relation = Relation::kInside; }));
  EXPECT_TRUE(isTrueWith([](Scene& s) { s.objects[1].x = 18; }));
  EXPECT_FALSE(isTrueWith([](Scene& s) { s.objects[1].x = 17.9F; }));
  EXPECT_TRUE(isTrueWith([](Scene& s) { s.objects[1].y = 26.7F; }));
  EXPECT_FALSE(isTrueWith([](Scene& s) { s.objects[1].y = 26.8F; }));
  EXPECT_FALSE(isTrueWith([](Scene& s) { s.objects[0].x = 4.9F; }));
  EXPECT_FALSE(isTrueWith([](Scene& s) { s.objects[1].y = 27.1F; }));
}

}  // namespace cross_attention::scenes::test::random_scene_test
