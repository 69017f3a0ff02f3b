#pragma once

#include "scenes/scene.hpp"

namespace cross_attention::scenes {

/// Pixels along a side of the pictures that scenes are laid out for.
inline constexpr float kPictureSize = 32;
/// The least distance, in pixels, of a bounding box from the picture's edge.
inline constexpr float kMargin = 1;
/// The least distance, in pixels, of two bounding boxes that stand beside each other.
inline constexpr float kGap = 2;
/// The least distance, in pixels, of an inner object from the edge of what is around it.
inline constexpr float kClearance = 1;
/// How many times farther apart along the axis of a relation than along the other one two centres are at least.
inline constexpr float kDominance = 1.3F;

/// Proportions of shapes, in radii.
inline constexpr float kRingHole = 0.55F;  ///< the radius of the hole
inline constexpr float kCrossArm = 0.31F;  ///< half the width of an arm
/// Triangles are equilateral: half the height, √3/2.
inline constexpr float kTriangleHalfHeight = 0.8660254F;
/// Stars have five points, on a circle of 1/sin 72° radii, since the two upper ones set the width.
inline constexpr float kStarOuter = 1.0514622F;
/// The notches lie on a circle of 0.45 times that: a pentagram's 0.382 leaves small stars too thin to tell.
inline constexpr float kStarNotch = 0.45F;
inline constexpr float kStarHalfHeight = 0.9510565F;  ///< (1 + cos 36°) / (2·sin 72°)

/// An upright rectangle in pixels: left ≤ right, top ≤ bottom.
struct Box {
  float left, top, right, bottom;
};

/// Half the width and half the height of an object's bounding box, in pixels.
struct Extents {
  float x, y;
};

Extents extentsOf(const Object& object);
Box boxOf(const Object& object);

/// How far two boxes stand apart along the axis along which they are farther apart; negative where they overlap.
float gapBetween(const Box& one, const Box& other);

/// The largest distance of a point of the shape from the object's centre, in pixels.
float reachOf(const Object& object);

/// Whether something can be inside: circles, squares, and rings, where that means their hole.
bool canHold(ShapeKind shape);

/// Half the width of the area that something inside `outer` may lie in, in pixels.
float hollowOf(const Object& outer);

/// Whether it is plain to see that `subject` is `relation` `object`. Beside each other: the boxes are kGap apart along
/// the relation's axis, and it dominates by kDominance. Inside: the subject is kClearance from the edge of the outer
/// object's inner area (judged by reachOf, within round ones).
bool holds(Relation relation, const Object& subject, const Object& object);

/// Whether all links hold, all boxes lie within the picture's margin, and all those that are not linked by kInside are
/// kGap apart.
bool isTrue(const Scene& scene);

}  // namespace cross_attention::scenes
