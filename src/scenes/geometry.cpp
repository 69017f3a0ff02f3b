#include "scenes/geometry.hpp"

#include <algorithm>
#include <cmath>

namespace cross_attention::scenes {

namespace {

bool isWithin(const Box& box, const Box& frame, float clearance) {
  return box.left >= frame.left + clearance && box.top >= frame.top + clearance &&
         box.right <= frame.right - clearance && box.bottom <= frame.bottom - clearance;
}

bool isInside(const Object& inner, const Object& outer) {
  if (!canContain(outer.shape)) return false;
  if (outer.shape == ShapeKind::kSquare) return isWithin(boxOf(inner), boxOf(outer), kClearance);
  const float x = inner.x - outer.x;
  const float y = inner.y - outer.y;
  return std::sqrt(x * x + y * y) <= innerExtentOf(outer) - circumradiusOf(inner) - kClearance;
}

/// `along`: how much farther along the axis the second centre is. `gap`: distance between the boxes.
/// `across`: distance of the centres along the other axis.
bool precedes(float along, float gap, float across) {
  return gap >= kGap && along >= kDominance * std::abs(across);
}

bool areLinkedByInside(const Scene& scene, int one, int other) {
  return std::any_of(scene.links.begin(), scene.links.end(), [&](const Link& link) {
    return link.relation == Relation::kInside &&
           ((link.subject == one && link.object == other) || (link.subject == other && link.object == one));
  });
}

}  // namespace

Extents extentsOf(const Object& object) {
  const float radius = object.radius;
  switch (object.shape) {
    case ShapeKind::kTriangle:
      return {radius, radius * kTriangleHalfHeight};
    case ShapeKind::kStar:
      return {radius, radius * kStarHalfHeight};
    default:
      return {radius, radius};
  }
}

Box boxOf(const Object& object) {
  const Extents extents = extentsOf(object);
  return {object.x - extents.x, object.y - extents.y, object.x + extents.x, object.y + extents.y};
}

float gapBetween(const Box& one, const Box& other) {
  const float x = std::max(other.left - one.right, one.left - other.right);
  const float y = std::max(other.top - one.bottom, one.top - other.bottom);
  return std::max(x, y);
}

float circumradiusOf(const Object& object) {
  switch (object.shape) {
    case ShapeKind::kSquare:
      return object.radius * 1.4142136F;
    case ShapeKind::kTriangle:
      // The corners of the base: √(1 + 3/4).
      return object.radius * 1.3228757F;
    case ShapeKind::kStar:
      // The lower points, sin 36° / sin 72° to the side and kStarHalfHeight down.
      return object.radius * 1.1342286F;
    case ShapeKind::kCross:
      // √(1 + kCrossArm²).
      return object.radius * 1.0469480F;
    default:
      return object.radius;
  }
}

bool canContain(ShapeKind shape) {
  return shape == ShapeKind::kCircle || shape == ShapeKind::kSquare || shape == ShapeKind::kRing;
}

float innerExtentOf(const Object& outer) {
  return outer.shape == ShapeKind::kRing ? outer.radius * kRingHole : outer.radius;
}

bool holds(Relation relation, const Object& subject, const Object& object) {
  const Box one = boxOf(subject);
  const Box other = boxOf(object);
  const float x = object.x - subject.x;
  const float y = object.y - subject.y;
  switch (relation) {
    case Relation::kLeftOf:
      return precedes(x, other.left - one.right, y);
    case Relation::kRightOf:
      return precedes(-x, one.left - other.right, y);
    case Relation::kAbove:
      return precedes(y, other.top - one.bottom, x);
    case Relation::kBelow:
      return precedes(-y, one.top - other.bottom, x);
    case Relation::kInside:
      return isInside(subject, object);
  }
  return false;
}

bool isConsistent(const Scene& scene) {
  validate(scene);
  const std::vector<Object>& objects = scene.objects;
  const auto count = static_cast<int>(objects.size());
  for (int one = 0; one < count; ++one) {
    const Box box = boxOf(objects[static_cast<std::size_t>(one)]);
    if (!isWithin(box, {0, 0, kPictureSize, kPictureSize}, kMargin)) return false;
    for (int other = one + 1; other < count; ++other) {
      if (areLinkedByInside(scene, one, other)) continue;
      if (gapBetween(box, boxOf(objects[static_cast<std::size_t>(other)])) < kGap) return false;
    }
  }
  return std::all_of(scene.links.begin(), scene.links.end(), [&](const Link& link) {
    return holds(link.relation, objects[static_cast<std::size_t>(link.subject)],
                 objects[static_cast<std::size_t>(link.object)]);
  });
}

}  // namespace cross_attention::scenes
