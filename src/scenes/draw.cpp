#include "scenes/draw.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/error.hpp"
#include "scenes/distance.hpp"
#include "scenes/geometry.hpp"

namespace cross_attention::scenes {

namespace {

struct Picture {
  Index size;
  /// Pixels per pixel of the kPictureSize layout.
  float scale;
  std::span<float> rgb;
};

float asSample(float colour) { return 2 * colour - 1; }

/// The range of pixels along a row or column that an extent from `low` to `high` may cover.
struct Pixels {
  Index begin, end;
};

Pixels pixelsOf(const Picture& picture, float low, float high) {
  // Coverage ends half a pixel beyond the edge, and is evaluated at pixel centres.
  const auto limit = static_cast<float>(picture.size);
  return {static_cast<Index>(std::clamp(std::floor(low * picture.scale - 1), 0.0F, limit)),
          static_cast<Index>(std::clamp(std::ceil(high * picture.scale + 1), 0.0F, limit))};
}

template <auto distanceTo>
void paint(const Picture& picture, const Object& object) {
  const Box box = boxOf(object);
  const Pixels columns = pixelsOf(picture, box.left, box.right);
  const Pixels rows = pixelsOf(picture, box.top, box.bottom);
  const Index plane = picture.size * picture.size;
  const std::array<float, 3> samples{asSample(object.rgb[0]), asSample(object.rgb[1]),
                                     asSample(object.rgb[2])};
  for (Index row = rows.begin; row < rows.end; ++row) {
    const float y = (static_cast<float>(row) + 0.5F) / picture.scale - object.y;
    float* pixel = picture.rgb.data() + row * picture.size + columns.begin;
    for (Index column = columns.begin; column < columns.end; ++column, ++pixel) {
      const float x = (static_cast<float>(column) + 0.5F) / picture.scale - object.x;
      const float coverage = std::min(0.5F - picture.scale * distanceTo(x, y, object.radius), 1.0F);
      if (coverage <= 0) continue;
      for (Index channel = 0; channel < 3; ++channel) {
        float& sample = pixel[channel * plane];
        const float colour = samples[static_cast<std::size_t>(channel)];
        // Not sample + coverage·(colour − sample), which is inexact for a coverage of 1.
        sample = (1 - coverage) * sample + coverage * colour;
      }
    }
  }
}

void paintShape(const Picture& picture, const Object& object) {
  switch (object.shape) {
    case ShapeKind::kCircle:
      return paint<distance::toCircle>(picture, object);
    case ShapeKind::kSquare:
      return paint<distance::toSquare>(picture, object);
    case ShapeKind::kTriangle:
      return paint<distance::toTriangle>(picture, object);
    case ShapeKind::kStar:
      return paint<distance::toStar>(picture, object);
    case ShapeKind::kRing:
      return paint<distance::toRing>(picture, object);
    case ShapeKind::kCross:
      return paint<distance::toCross>(picture, object);
  }
}

}  // namespace

void draw(const Scene& scene, Index size, std::span<float> rgb) {
  validate(scene);
  if (size < 1 || size > kMaxPictureSize) {
    failArgument({"size is ", size, "; expected 1 to ", kMaxPictureSize, " pixels"});
  }
  if (static_cast<ByteCount>(rgb.size()) != ByteCount{3} * size * size) {
    failShape({"rgb has ", rgb.size(), " elements; expected ", ByteCount{3} * size * size,
               " for a picture [3, ", size, ", ", size, "]"});
  }
  const Rgb background = rgbOf(scene.background);
  const std::size_t plane = rgb.size() / 3;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    std::ranges::fill(rgb.subspan(channel * plane, plane), asSample(background[channel]));
  }
  // Largest first, because an object inside another is smaller.
  std::vector<const Object*> objects;
  for (const Object& object : scene.objects) {
    const auto position =
        std::ranges::upper_bound(objects, object.radius, std::ranges::greater{}, &Object::radius);
    objects.insert(position, &object);
  }
  const Picture picture{size, static_cast<float>(size) / kPictureSize, rgb};
  for (const Object* object : objects) paintShape(picture, *object);
}

}  // namespace cross_attention::scenes
