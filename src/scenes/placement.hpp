#pragma once

#include "core/random.hpp"
#include "scenes/geometry.hpp"

namespace cross_attention::scenes {

/// Draws radii and centres of a scene whose shapes and links are set, until isTrue, and the words for the sizes: where
/// `sizesSaid`, those of the small and large ones. Shapes and links must be such that there is a way; the first link's
/// subject is objects[0].
void place(Random& random, Scene& scene, bool sizesSaid);

}  // namespace cross_attention::scenes
