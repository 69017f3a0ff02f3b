#pragma once

#include "scenes/scene.hpp"

namespace cross_attention::scenes {

/// kHeldOut: scenes that training never contains, for evaluation.
enum class Split : std::uint8_t { kTraining, kHeldOut };

/// True if no training scene has an object of this colour and shape in this role. Of each pair of shape and
/// role, one colour is held out: (3·shape + 5·role + 1) mod 8 by the order of the enumerators, a Latin
/// pattern. Training therefore contains each shape in each role in the seven other colours, each colour in
/// each role with all shapes but at most one, and each colour and shape in all roles but at most one. Only
/// the combination is new in a held-out scene. These are 33 of the 264 possible combinations: nothing can be
/// inside a triangle, star or cross.
bool isHeldOut(Colour colour, ShapeKind shape, Role role);

/// True if any object is held out in the role that a link gives it, from either side. A single object has no
/// role and is never held out.
bool isHeldOut(const Scene& scene);

}  // namespace cross_attention::scenes
