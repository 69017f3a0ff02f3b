#pragma once

#include <span>

#include "core/index.hpp"
#include "scenes/scene.hpp"

namespace cross_attention::scenes {

/// Of a picture's side, in pixels: its elements can be counted, in WebAssembly too.
inline constexpr Index kLargestPicture = 8192;

/// Paints the background and, the larger ones first, the objects; edges are a pixel wide (coverage ½ − distance, within
/// [0, 1]). `rgb` is planar, [3, size, size], each in [-1, 1]: 2·colour − 1. A `size` other than kPictureSize draws the
/// same scene larger or smaller; what lies beyond the picture is cut off. Throws kArgument where size is not
/// within 1 and kLargestPicture, kShape where rgb has not 3·size² elements.
void draw(const Scene& scene, Index size, std::span<float> rgb);

}  // namespace cross_attention::scenes
