#include "scenes/placement.hpp"

#include <algorithm>
#include <cmath>

#include "scenes/choice.hpp"

namespace cross_attention::scenes {

namespace {

// As large as 32 pixels allow: a star of fewer than ten pixels is hard to recognize and hard to learn.
constexpr Range kSmall{5.2F, 5.8F};
constexpr Range kMiddle{6.0F, 7.0F};
constexpr Range kLarge{7.2F, 8.5F};
constexpr Range kLargeAlone{7.2F, 11.0F};
constexpr Range kInRing{4.2F, 4.8F};
constexpr Range kAround{11.0F, 13.0F};
constexpr Range kRingAround{14.0F, 15.0F};

/// Returns the possible centres, along one axis, of an object with this extent.
Range roomFor(float extent) { return {kMargin + extent, kPictureSize - kMargin - extent}; }

bool isEmpty(Range range) { return range.low > range.high; }

Range intersect(Range one, Range other) {
  return {std::max(one.low, other.low), std::min(one.high, other.high)};
}

/// The coordinates along a relation's axis and across it.
struct Axis {
  float Object::*along;
  float Object::*across;
  float Extents::*extentAlong;
  float Extents::*extentAcross;
  /// True if the subject has the lower coordinate.
  bool before;
};

Axis axisOf(Relation relation) {
  const bool before = relation == Relation::kLeftOf || relation == Relation::kAbove;
  if (relation == Relation::kLeftOf || relation == Relation::kRightOf) {
    return {&Object::x, &Object::y, &Extents::x, &Extents::y, before};
  }
  return {&Object::y, &Object::x, &Extents::y, &Extents::x, before};
}

void drawSizes(Random& random, Scene& scene, bool mention) {
  const Range large = scene.objects.size() == 1 ? kLargeAlone : kLarge;
  for (Object& object : scene.objects) {
    const auto word = mention ? static_cast<SizeWord>(uniformInt(random, 3)) : SizeWord::kNone;
    const Range middle = mention ? kMiddle : Range{kSmall.low, large.high};
    object.size = word;
    object.radius = uniformIn(random, word == SizeWord::kSmall   ? kSmall
                                      : word == SizeWord::kLarge ? large
                                                                 : middle);
  }
}

/// The inner object is always small and the outer one large. Each is described so with the same probability
/// as the sizes of other objects, two in three.
void drawSizesInside(Random& random, Object& inner, Object& outer, bool mention) {
  const bool ring = outer.shape == ShapeKind::kRing;
  inner.radius = uniformIn(random, ring ? kInRing : kSmall);
  outer.radius = uniformIn(random, ring ? kRingAround : kAround);
  inner.size = mention && uniformInt(random, 3) != 0 ? SizeWord::kSmall : SizeWord::kNone;
  outer.size = mention && uniformInt(random, 3) != 0 ? SizeWord::kLarge : SizeWord::kNone;
}

/// Returns false if the sizes leave no room. Otherwise sets the centres, which may still be too close to each
/// other.
bool placeInside(Random& random, Object& inner, Object& outer) {
  outer.x = uniformIn(random, roomFor(outer.radius));
  outer.y = uniformIn(random, roomFor(outer.radius));
  const bool square = outer.shape == ShapeKind::kSquare;
  const float reach = circumradiusOf(inner);
  const Extents extents = square ? extentsOf(inner) : Extents{reach, reach};
  const float x = innerExtentOf(outer) - extents.x - kClearance;
  const float y = innerExtentOf(outer) - extents.y - kClearance;
  if (x < 0 || y < 0) return false;
  inner.x = outer.x + uniformIn(random, {-x, x});
  inner.y = outer.y + uniformIn(random, {-y, y});
  return true;
}

/// Returns false if there is no room next to the subject, whose centre is set.
bool placeBeside(Random& random, const Object& subject, const Axis& axis, Object& object) {
  const Extents extents = extentsOf(object);
  Range along = roomFor(extents.*axis.extentAlong);
  const float apart = extentsOf(subject).*axis.extentAlong + kGap + extents.*axis.extentAlong;
  const float centre = subject.*axis.along;
  if (axis.before) {
    along.low = std::max(along.low, centre + apart);
  } else {
    along.high = std::min(along.high, centre - apart);
  }
  if (isEmpty(along)) return false;
  object.*axis.along = uniformIn(random, along);
  const float aside = std::abs(object.*axis.along - centre) / kDominance;
  const Range across = intersect(roomFor(extents.*axis.extentAcross),
                                 {subject.*axis.across - aside, subject.*axis.across + aside});
  if (isEmpty(across)) return false;
  object.*axis.across = uniformIn(random, across);
  return true;
}

/// Places the subject of all links first, such that it leaves room for the others, and then the objects next
/// to it.
bool placeInTheOpen(Random& random, Scene& scene) {
  Object& subject = scene.objects[0];
  const Extents extents = extentsOf(subject);
  Range x = roomFor(extents.x);
  Range y = roomFor(extents.y);
  for (const Link& link : scene.links) {
    const Axis axis = axisOf(link.relation);
    const Object& object = scene.objects[static_cast<std::size_t>(link.object)];
    const float needed = 2 * extentsOf(object).*axis.extentAlong + kGap;
    Range& along = axis.along == &Object::x ? x : y;
    if (axis.before) {
      along.high -= needed;
    } else {
      along.low += needed;
    }
  }
  if (isEmpty(x) || isEmpty(y)) return false;
  subject.x = uniformIn(random, x);
  subject.y = uniformIn(random, y);
  return std::all_of(scene.links.begin(), scene.links.end(), [&](const Link& link) {
    return placeBeside(random, subject, axisOf(link.relation),
                       scene.objects[static_cast<std::size_t>(link.object)]);
  });
}

}  // namespace

void placeObjects(Random& random, Scene& scene, bool mentionSizes) {
  const bool inside = !scene.links.empty() && scene.links[0].relation == Relation::kInside;
  bool placed = false;
  do {
    if (inside) {
      drawSizesInside(random, scene.objects[0], scene.objects[1], mentionSizes);
      placed = placeInside(random, scene.objects[0], scene.objects[1]);
    } else {
      drawSizes(random, scene, mentionSizes);
      placed = placeInTheOpen(random, scene);
    }
  } while (!placed || !isConsistent(scene));
}

}  // namespace cross_attention::scenes
