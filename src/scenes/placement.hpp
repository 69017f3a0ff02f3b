#pragma once

#include "core/random.hpp"
#include "scenes/geometry.hpp"

namespace cross_attention::scenes {

/// Draws radii and centres until isConsistent(scene). Shapes and links must be set and satisfiable, and
/// objects[0] must be the first link's subject. Also sets the size words of small and large objects if
/// `mentionSizes`.
void placeObjects(Random& random, Scene& scene, bool mentionSizes);

}  // namespace cross_attention::scenes
