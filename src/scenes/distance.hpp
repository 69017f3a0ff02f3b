#pragma once

#include <algorithm>
#include <cmath>

#include "scenes/geometry.hpp"

namespace cross_attention::scenes {

/// Signed distances from the edge of a shape to the point (x, y), negative inside. The point is relative to
/// the centre of the bounding box; y points downwards. Exact for distances below half a shape's width. Uses
/// only operations that IEEE 754 rounds correctly.
///
/// Based on: Quilez, "2D distance functions" (https://iquilezles.org/articles/distfunctions2d).
namespace distance {

inline float length(float x, float y) { return std::sqrt(x * x + y * y); }

inline float toCircle(float x, float y, float radius) { return length(x, y) - radius; }

inline float toSquare(float x, float y, float radius) {
  const float beyondX = std::abs(x) - radius;
  const float beyondY = std::abs(y) - radius;
  return length(std::max(beyondX, 0.0F), std::max(beyondY, 0.0F)) +
         std::min(std::max(beyondX, beyondY), 0.0F);
}

inline float toRing(float x, float y, float radius) {
  constexpr float kMiddle = (1 + kRingHole) / 2;
  constexpr float kHalfWidth = (1 - kRingHole) / 2;
  return std::abs(length(x, y) - radius * kMiddle) - radius * kHalfWidth;
}

inline float toCross(float x, float y, float radius) {
  const float arm = radius * kCrossArm;
  // By symmetry, one eighth represents all: the upper half of the right arm.
  const float along = std::max(std::abs(x), std::abs(y));
  const float across = std::min(std::abs(x), std::abs(y));
  const float beyondEnd = along - radius;
  const float beyondSide = across - arm;
  const float beyond = std::max(beyondEnd, beyondSide);
  if (beyond > 0) return length(std::max(beyondEnd, 0.0F), std::max(beyondSide, 0.0F));
  return -length(std::max(arm - along, 0.0F), beyond);
}

inline float toTriangle(float x, float y, float radius) {
  constexpr float kRoot3 = 1.7320508F;
  // Relative to the middle of the base, upwards. By symmetry, the right half represents both.
  float u = std::abs(x) - radius;
  float v = radius * kTriangleHalfHeight - y;
  // Points nearer to the right side than to the base are rotated onto the base.
  if (u + kRoot3 * v > 0) {
    const float turned = (u - kRoot3 * v) / 2;
    v = (-kRoot3 * u - v) / 2;
    u = turned;
  }
  u -= std::clamp(u, -2 * radius, 0.0F);
  const float away = length(u, v);
  return v > 0 ? -away : away;
}

inline float toStar(float x, float y, float radius) {
  constexpr float kCos36 = 0.80901699F;
  constexpr float kSin36 = 0.58778525F;
  const float outer = radius * kStarOuter;
  // Relative to the centre of the star, upwards. Mirrored into the tenth between the upper point and the
  // notch next to it.
  float u = std::abs(x);
  float v = radius * (kStarOuter - kStarHalfHeight) - y;
  const float first = 2 * std::max(kCos36 * u - kSin36 * v, 0.0F);
  u -= first * kCos36;
  v += first * kSin36;
  const float second = 2 * std::max(-kCos36 * u - kSin36 * v, 0.0F);
  u += second * kCos36;
  v += second * kSin36;
  u = std::abs(u);
  // Relative to the outer point, along the edge to the notch.
  constexpr float kEdgeX = kStarNotch * kSin36;
  constexpr float kEdgeY = kStarNotch * kCos36 - 1;
  constexpr float kEdgeSquare = kEdgeX * kEdgeX + kEdgeY * kEdgeY;
  v -= outer;
  const float along = std::clamp((u * kEdgeX + v * kEdgeY) / kEdgeSquare, 0.0F, outer);
  const float away = length(u - kEdgeX * along, v - kEdgeY * along);
  return v * kEdgeX > u * kEdgeY ? away : -away;
}

}  // namespace distance

}  // namespace cross_attention::scenes
