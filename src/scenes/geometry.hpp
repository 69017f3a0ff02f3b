#pragma once

#include "scenes/scene.hpp"

namespace cross_attention::scenes {

/// Side, in pixels, of the pictures that scenes are laid out for.
inline constexpr float kPictureSize = 32;
/// Minimum distance, in pixels, of a bounding box from the picture's edge.
inline constexpr float kMargin = 1;
/// Minimum distance, in pixels, between the bounding boxes of objects next to each other.
inline constexpr float kGap = 2;
/// Minimum distance, in pixels, of an inner object from the edge of the outer one.
inline constexpr float kClearance = 1;
/// Minimum ratio of two centres' distance along a relation's axis to that along the other axis.
inline constexpr float kDominance = 1.3F;

/// Proportions of shapes, in radii.
inline constexpr float kRingHole = 0.55F;  ///< the radius of the hole
inline constexpr float kCrossArm = 0.31F;  ///< half the width of an arm
/// Triangles are equilateral: half the height, √3/2.
inline constexpr float kTriangleHalfHeight = 0.8660254F;
/// Stars have five points, on a circle of 1/sin 72° radii, since the two upper ones set the width.
inline constexpr float kStarOuter = 1.0514622F;
/// The notches lie on a circle of 0.45 times that. A pentagram's 0.382 makes small stars too thin to
/// recognize.
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

/// Returns the distance of two boxes along the axis on which they are farther apart; negative if they
/// overlap.
float gapBetween(const Box& one, const Box& other);

/// Returns the maximum distance of a shape's points from the object's centre, in pixels.
float circumradiusOf(const Object& object);

/// True if another object can lie inside: for circles, squares and rings (in their hole).
bool canContain(ShapeKind shape);

/// Returns half the width, in pixels, of the area for objects inside `outer`.
float innerExtentOf(const Object& outer);

/// True if `subject` is clearly in this relation to `object`. Directions: the boxes are kGap apart along the
/// relation's axis, and that axis dominates by kDominance. Inside: the subject keeps kClearance to the edge
/// of the outer object's inner area; round areas compare by circumradiusOf.
bool holds(Relation relation, const Object& subject, const Object& object);

/// True if all links hold, all boxes lie within the picture's margin, and all boxes that are not linked by
/// kInside are kGap apart.
bool isConsistent(const Scene& scene);

}  // namespace cross_attention::scenes
