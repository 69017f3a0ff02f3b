#include "scenes/draw.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "scenes/caption.hpp"
#include "scenes/geometry.hpp"
#include "scenes/random_scene.hpp"
#include "support/build.hpp"

namespace cross_attention::scenes::test::draw_test {

namespace {

using cross_attention::test::reduced;

constexpr double kDegree = std::numbers::pi / 180;
constexpr int kSize = 32;

struct Point {
  double x, y;
};

/// Returns the corners of a shape of radius 1 with its bounding box centred at 0, y pointing down. Round
/// shapes have none.
std::vector<Point> cornersOf(ShapeKind shape) {
  std::vector<Point> corners;
  if (shape == ShapeKind::kSquare) corners = {{-1, -1}, {1, -1}, {1, 1}, {-1, 1}};
  if (shape == ShapeKind::kTriangle) {
    const double half = std::sqrt(3.0) / 2;
    corners = {{0, -half}, {1, half}, {-1, half}};
  }
  if (shape == ShapeKind::kCross) {
    const double a = 0.31;
    corners = {{-a, -1}, {a, -1}, {a, -a}, {1, -a}, {1, a},   {a, a},
               {a, 1},   {-a, 1}, {-a, a}, {-1, a}, {-1, -a}, {-a, -a}};
  }
  if (shape == ShapeKind::kStar) {
    for (int corner = 0; corner < 10; ++corner) {
      const double radius = corner % 2 == 0 ? 1 : 0.45;
      corners.push_back(
          {radius * std::sin(36 * kDegree * corner), -radius * std::cos(36 * kDegree * corner)});
    }
    const auto [left, right] = std::ranges::minmax(corners, {}, &Point::x);
    const auto [top, bottom] = std::ranges::minmax(corners, {}, &Point::y);
    const double scale = 2 / (right.x - left.x);
    const double middle = (top.y + bottom.y) / 2;
    for (Point& point : corners) point = {point.x * scale, (point.y - middle) * scale};
  }
  return corners;
}

/// Returns the area of a shape of radius 1: π r², or half the sum of the cross products of the corners
/// (shoelace formula).
double areaOf(ShapeKind shape) {
  if (shape == ShapeKind::kCircle) return std::numbers::pi;
  if (shape == ShapeKind::kRing) return std::numbers::pi * (1 - 0.55 * 0.55);
  const std::vector<Point> corners = cornersOf(shape);
  double twice = 0;
  for (std::size_t i = 0; i < corners.size(); ++i) {
    const Point& a = corners[i];
    const Point& b = corners[(i + 1) % corners.size()];
    twice += a.x * b.y - a.y * b.x;
  }
  return twice / 2;
}

/// Returns the difference in pixels between the sum of a shape's coverage ½ − distance and its area. The
/// coverage averages the areas within the outlines at distances t from −½ to ½. At a corner that turns by the
/// angle τ, these outlines are rounded outside and sharp inside; their areas exceed the part of the edges by
/// ½·τ·t² and tan(½·τ)·t². The mean of t² over half of the range, weighted by ½, is 1/24. For a circle the
/// excess is π·t². The excesses of a ring's two circles cancel.
double excessOf(ShapeKind shape) {
  if (shape == ShapeKind::kCircle) return std::numbers::pi / 12;
  const std::vector<Point> corners = cornersOf(shape);
  double excess = 0;
  for (std::size_t i = 0; i < corners.size(); ++i) {
    const Point& a = corners[i];
    const Point& b = corners[(i + 1) % corners.size()];
    const Point& c = corners[(i + 2) % corners.size()];
    const Point first{b.x - a.x, b.y - a.y};
    const Point second{c.x - b.x, c.y - b.y};
    const double turn =
        std::atan2(first.x * second.y - first.y * second.x, first.x * second.x + first.y * second.y);
    excess += (turn / 2 + std::tan(turn / 2)) / 24;
  }
  return excess;
}

/// Returns whether a shape of radius 1 covers a point, by its distance from the centre or by the number of
/// edges to its right.
bool covers(ShapeKind shape, const std::vector<Point>& corners, Point point) {
  const double distance = std::hypot(point.x, point.y);
  if (shape == ShapeKind::kCircle) return distance <= 1;
  if (shape == ShapeKind::kRing) return distance <= 1 && distance >= 0.55;
  bool odd = false;
  for (std::size_t i = 0; i < corners.size(); ++i) {
    const Point& a = corners[i];
    const Point& b = corners[(i + 1) % corners.size()];
    if ((a.y > point.y) == (b.y > point.y)) continue;
    const double x = a.x + (point.y - a.y) / (b.y - a.y) * (b.x - a.x);
    if (x > point.x) odd = !odd;
  }
  return odd;
}

/// Returns the covered share of each pixel, sampled at 16 × 16 points per pixel.
std::vector<double> sampledCoverage(const Object& object) {
  constexpr int kSamples = 16;
  const std::vector<Point> corners = cornersOf(object.shape);
  std::vector<double> coverage(std::size_t{kSize} * kSize);
  const double radius = object.radius;
  for (int y = 0; y < kSize * kSamples; ++y) {
    for (int x = 0; x < kSize * kSamples; ++x) {
      const Point point{((x + 0.5) / kSamples - double{object.x}) / radius,
                        ((y + 0.5) / kSamples - double{object.y}) / radius};
      if (std::max(std::abs(point.x), std::abs(point.y)) > 1.1) continue;
      if (!covers(object.shape, corners, point)) continue;
      coverage[static_cast<std::size_t>(y / kSamples * kSize + x / kSamples)] += 1.0 / (kSamples * kSamples);
    }
  }
  return coverage;
}

std::vector<float> picture(const Scene& scene, Index size) {
  std::vector<float> rgb(static_cast<std::size_t>(3 * size * size));
  draw(scene, size, rgb);
  return rgb;
}

Scene sceneOf(const Object& object) {
  Scene scene;
  scene.background = Background::kBlack;
  scene.objects = {object};
  return scene;
}

/// Returns the coverage of each pixel, drawn in white on black.
std::vector<double> drawnCoverage(Object object, Index size) {
  object.rgb = {1, 1, 1};
  const std::vector<float> rgb = picture(sceneOf(object), size);
  std::vector<double> coverage(rgb.size() / 3);
  for (std::size_t pixel = 0; pixel < coverage.size(); ++pixel) {
    coverage[pixel] = (double{rgb[pixel]} + 1) / 2;
  }
  return coverage;
}

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}

double distanceToCorner(const Object& object, const std::vector<Point>& corners, double x, double y) {
  double nearest = kSize;
  for (const Point& corner : corners) {
    const double radius = object.radius;
    nearest = std::min(nearest, std::hypot(double{object.x} + radius * corner.x - x,
                                           double{object.y} + radius * corner.y - y));
  }
  return nearest;
}

template <class Visit>
void forRandomObjects(std::uint64_t seed, int objects, Visit visit) {
  Random random(seed);
  for (int kind = 0; kind < kShapeKinds; ++kind) {
    for (int draw = 0; draw < objects; ++draw) {
      const auto radius = static_cast<float>(3.6 + 9 * random.uniform());
      Object object{.shape = static_cast<ShapeKind>(kind), .radius = radius};
      object.x = static_cast<float>(14 + 4 * random.uniform());
      object.y = static_cast<float>(14 + 4 * random.uniform());
      SCOPED_TRACE(std::string(nameOf(object.shape)) + " of radius " + std::to_string(radius));
      visit(object);
      if (testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace

TEST(DrawTest, AreasMatchTheFormulas) {
  forRandomObjects(1, reduced(20, 4), [](const Object& object) {
    const double area = areaOf(object.shape) * std::pow(double{object.radius}, 2);
    const double excess = excessOf(object.shape);
    // The remaining error is that edges are sampled once per pixel, which adds an error of up to ±0.04 per
    // pixel. Over 400 objects of each shape, the maximum was 1.0 in total, one pixel of about fifty.
    EXPECT_NEAR(sum(drawnCoverage(object, kSize)), area + excess, 1.1);
    // A picture with 16² times as many pixels, in units of the smaller picture's pixels. Its maximum error
    // was 3.6 of its own pixels.
    EXPECT_NEAR(sum(drawnCoverage(object, 16 * kSize)) / 256, area + excess / 256, 4.0 / 256);
  });
}

TEST(DrawTest, CoverageMatchesSampling) {
  forRandomObjects(2, reduced(40, 4), [](const Object& object) {
    const std::vector<double> drawn = drawnCoverage(object, kSize);
    const std::vector<double> sampled = sampledCoverage(object);
    const std::vector<Point> corners = cornersOf(object.shape);
    int partly = 0;
    for (int y = 0; y < kSize; ++y) {
      for (int x = 0; x < kSize; ++x) {
        const auto pixel = static_cast<std::size_t>(y * kSize + x);
        partly += drawn[pixel] > 0.02 && drawn[pixel] < 0.98 ? 1 : 0;
        // The error has three parts. Straight edges at 45°: the corner of a pixel reaches (√½ − ½)² = 0.043
        // beyond. Curves of radius 2 or more: 1/48. Sampling: 31 of the 256 samples may be wrong by half,
        // 0.06. Near a corner of 45°, a pixel that is covered by a tenth is drawn by half.
        const bool corner = distanceToCorner(object, corners, x + 0.5, y + 0.5) < 1.5;
        ASSERT_NEAR(drawn[pixel], sampled[pixel], corner ? 0.45 : 0.125) << x << ", " << y;
      }
    }
    // Edges are one pixel wide. A square whose edges lie between pixels may have no partly covered pixels;
    // otherwise there are about one and at most two per pixel of the outline.
    const double outline = object.shape == ShapeKind::kStar ? 10 : 4 * std::numbers::pi;
    EXPECT_LT(partly, 2 * outline * double{object.radius});
    if (object.shape != ShapeKind::kSquare && object.shape != ShapeKind::kCross) {
      EXPECT_GT(partly, 3 * object.radius);
    }
  });
}

TEST(DrawTest, ColoursAreExactExceptOnEdges) {
  Random random(3);
  for (int count = 0; count < reduced(200, 20); ++count) {
    const Scene scene = randomScene(random, Split::kTraining, 1);
    const Object& object = scene.objects[0];
    const std::vector<float> rgb = picture(scene, kSize);
    const std::vector<double> sampled = sampledCoverage(object);
    int within = 0;
    for (int y = 1; y < kSize - 1; ++y) {
      for (int x = 1; x < kSize - 1; ++x) {
        double around = 0;
        for (const int down : {-1, 0, 1}) {
          for (const int right : {-1, 0, 1}) {
            around += sampled[static_cast<std::size_t>((y + down) * kSize + x + right)];
          }
        }
        if (around != 0 && around != 9) continue;
        within += around == 9 ? 1 : 0;
        const Rgb colour = around == 9 ? object.rgb : rgbOf(scene.background);
        for (std::size_t channel = 0; channel < 3; ++channel) {
          const auto pixel = channel * kSize * kSize + static_cast<std::size_t>(y * kSize + x);
          ASSERT_EQ(rgb[pixel], 2 * colour[channel] - 1);
        }
      }
    }
    if (object.shape == ShapeKind::kCircle || object.shape == ShapeKind::kSquare) {
      EXPECT_GT(within, 8);
    }
  }
}

TEST(DrawTest, BoxesFitTightly) {
  constexpr int kLarge = 512;
  forRandomObjects(4, reduced(20, 4), [](const Object& object) {
    const std::vector<double> drawn = drawnCoverage(object, kLarge);
    Box seen{kSize, kSize, 0, 0};
    for (int y = 0; y < kLarge; ++y) {
      for (int x = 0; x < kLarge; ++x) {
        if (drawn[static_cast<std::size_t>(y * kLarge + x)] < 0.5) continue;
        const Box pixel{static_cast<float>(x) / 16, static_cast<float>(y) / 16,
                        static_cast<float>(x + 1) / 16, static_cast<float>(y + 1) / 16};
        seen = {std::min(seen.left, pixel.left), std::min(seen.top, pixel.top),
                std::max(seen.right, pixel.right), std::max(seen.bottom, pixel.bottom)};
      }
    }
    // Two pixels of the larger picture, because the tip of a star is narrower than one pixel.
    const Box box = boxOf(object);
    EXPECT_NEAR(seen.left, box.left, 2.0 / 16);
    EXPECT_NEAR(seen.top, box.top, 2.0 / 16);
    EXPECT_NEAR(seen.right, box.right, 2.0 / 16);
    EXPECT_NEAR(seen.bottom, box.bottom, 2.0 / 16);
    double reach = 0;
    for (const Point& corner : cornersOf(object.shape)) {
      reach = std::max(reach, std::hypot(corner.x, corner.y) * double{object.radius});
    }
    if (reach == 0) reach = object.radius;
    EXPECT_NEAR(circumradiusOf(object), reach, 1e-5);
  });
}

TEST(DrawTest, DrawsInnerObjectsOnTopInAnyOrder) {
  Scene scene;
  scene.objects = {{.shape = ShapeKind::kStar, .rgb = {1, 0, 0}, .x = 16, .y = 16, .radius = 4},
                   {.shape = ShapeKind::kCircle, .rgb = {0, 0, 1}, .x = 16, .y = 16, .radius = 10}};
  scene.links = {{0, Relation::kInside, 1}};
  const std::vector<float> first = picture(scene, kSize);
  EXPECT_EQ(first[16 * kSize + 16], 1.0F);
  std::swap(scene.objects[0], scene.objects[1]);
  scene.links = {{1, Relation::kInside, 0}};
  EXPECT_EQ(picture(scene, kSize), first);
}

TEST(DrawTest, ClipsAtTheBorderOfThePicture) {
  const Object object{.shape = ShapeKind::kSquare, .x = 0, .y = 32, .radius = 6};
  const std::vector<double> drawn = drawnCoverage(object, kSize);
  EXPECT_EQ(drawn[31 * kSize], 1);
  EXPECT_NEAR(sum(drawn), 36, 0.1);
  EXPECT_EQ(sum(drawnCoverage({.x = -20, .y = 50, .radius = 6}, kSize)), 0);
}

TEST(DrawTest, RefusesWrongSizesWithoutDrawing) {
  const Scene scene = sceneOf({.x = 16, .y = 16, .radius = 6});
  std::vector<float> rgb(3 * 8 * 8, 7.0F);
  EXPECT_THROW(draw(scene, 0, rgb), Error);
  EXPECT_THROW(draw(scene, -8, rgb), Error);
  EXPECT_THROW(draw(scene, Index{1} << 30, rgb), Error);
  EXPECT_THROW(draw(scene, 9, rgb), Error);
  EXPECT_THROW(draw({}, 8, rgb), Error);
  EXPECT_EQ(std::ranges::count(rgb, 7.0F), 3 * 8 * 8);
  draw(scene, 8, rgb);
  EXPECT_EQ(std::ranges::count(rgb, 7.0F), 0);
}

TEST(DrawTest, SeedDeterminesScenesOnAllPlatforms) {
  Random random(7);
  // FNV-1a of all captions and of the bits of all samples. All operations used are correctly rounded by IEEE
  // 754.
  std::uint64_t hash = 0xCBF29CE484222325U;
  const auto add = [&](std::uint64_t value) { hash = (hash ^ value) * 0x100000001B3U; };
  std::string first;
  for (int count = 0; count < 300; ++count) {
    const Scene scene = randomScene(random, count % 3 == 0 ? Split::kHeldOut : Split::kTraining);
    const std::string sentence = caption(scene, random);
    if (count == 0) first = sentence;
    for (const char letter : sentence) add(static_cast<unsigned char>(letter));
    for (const float sample : picture(scene, kSize)) add(std::bit_cast<std::uint32_t>(sample));
  }
  EXPECT_EQ(first,
            "the red cross is left of the red circle and below the yellow triangle on a white "
            "background");
  EXPECT_EQ(hash, 18301079674289089815U);
}

}  // namespace cross_attention::scenes::test::draw_test
