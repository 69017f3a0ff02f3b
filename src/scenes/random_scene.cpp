#include "scenes/random_scene.hpp"

#include <utility>

#include "core/error.hpp"
#include "scenes/choice.hpp"
#include "scenes/placement.hpp"

namespace cross_attention::scenes {

namespace {

constexpr double kBackgroundProbability = 0.4;
constexpr double kSizesProbability = 0.5;
constexpr float kJitter = 0.04F;

int randomCount(Random& random, Split split) {
  if (split == Split::kHeldOut) return uniformInt(random, 3) < 2 ? 2 : 3;
  constexpr std::array<int, 5> kCounts{1, 2, 2, 3, 3};
  return kCounts[static_cast<std::size_t>(uniformInt(random, kCounts.size()))];
}

/// Subjects have the lower index.
std::vector<Link> randomLinks(Random& random, int objects) {
  if (objects == 1) return {};
  if (objects == 2) return {{0, static_cast<Relation>(uniformInt(random, kRelations)), 1}};
  // One object to the left or right of the subject, the other above or below it: three in a row would be too
  // small to recognize.
  const auto beside = static_cast<Relation>(uniformInt(random, 2));
  const auto upright = static_cast<Relation>(2 + uniformInt(random, 2));
  Link one{0, beside, 1};
  Link other{0, upright, 2};
  if (uniformInt(random, 2) == 1) std::swap(one.relation, other.relation);
  return {one, other};
}

bool isValid(const Scene& scene) {
  for (const Link& link : scene.links) {
    const Object& subject = scene.objects[static_cast<std::size_t>(link.subject)];
    const Object& object = scene.objects[static_cast<std::size_t>(link.object)];
    if (link.relation != Relation::kInside) continue;
    if (!canContain(object.shape) || subject.colour == object.colour) return false;
  }
  for (const Object& one : scene.objects) {
    for (const Object& other : scene.objects) {
      if (&one != &other && one.colour == other.colour && one.shape == other.shape) return false;
    }
  }
  return true;
}

void drawIdentities(Random& random, Scene& scene) {
  do {
    for (Object& object : scene.objects) {
      object.shape = static_cast<ShapeKind>(uniformInt(random, kShapeKinds));
      object.colour = static_cast<Colour>(uniformInt(random, kColours));
    }
  } while (!isValid(scene));
}

void drawPaint(Random& random, Object& object) {
  object.rgb = rgbOf(object.colour);
  for (float& channel : object.rgb) channel += uniformIn(random, {-kJitter, kJitter});
}

}  // namespace

Scene randomScene(Random& random, Split split, int objects) {
  if (objects < 0 || objects > 3) {
    failArgument({"objects is ", objects, "; expected 1, 2, 3, or 0 for any of them"});
  }
  if (objects == 1 && split == Split::kHeldOut) {
    failArgument({"objects is 1; expected 2, 3, or 0 for either of them in held-out scenes"});
  }
  Scene scene;
  scene.background = static_cast<Background>(uniformInt(random, kBackgrounds));
  scene.backgroundSaid = bernoulli(random, kBackgroundProbability);
  const int count = objects != 0 ? objects : randomCount(random, split);
  scene.objects.resize(static_cast<std::size_t>(count));
  scene.links = randomLinks(random, count);
  do drawIdentities(random, scene);
  while (isHeldOut(scene) != (split == Split::kHeldOut));
  for (Object& object : scene.objects) drawPaint(random, object);
  placeObjects(random, scene, bernoulli(random, kSizesProbability));
  return scene;
}

}  // namespace cross_attention::scenes
