#pragma once

#include <span>

#include "core/index.hpp"
#include "scenes/scene.hpp"

namespace cross_attention::scenes {

/// Maximum side of a picture in pixels. Limited so that its number of elements fits in an Index in
/// WebAssembly too.
inline constexpr Index kMaxPictureSize = 8192;

/// Draws the background and then the objects, largest first. Edges are antialiased over one pixel (coverage ½
/// − distance, clamped to [0, 1]). `rgb` is planar [3, size, size] in [-1, 1]: 2·colour − 1. A `size` other
/// than kPictureSize scales the scene; parts outside the picture are clipped. Throws kArgument if size is
/// outside 1 … kMaxPictureSize, and kShape if rgb does not have 3·size² elements.
void draw(const Scene& scene, Index size, std::span<float> rgb);

}  // namespace cross_attention::scenes
