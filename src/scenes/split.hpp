#pragma once

#include "scenes/scene.hpp"

namespace cross_attention::scenes {

/// kHeldOut: scenes that a model never sees in training and that its answers to are judged by.
enum class Split : std::uint8_t { kTraining, kHeldOut };

/// Whether no training scene has an object of this colour and shape in this role. Of each pair of a shape and a role
/// one colour is held out, (3·shape + 5·role + 1) mod 8 by the order of the enumerators: a Latin pattern. So each shape
/// in each role is seen in the seven other colours, each colour in each role as all shapes but one at most, each colour
/// and shape in all roles but one at most: what is new in a held-out scene is the combination alone. These are 33 of
/// the 264 combinations that there are: nothing can be inside a triangle, star or cross.
bool isHeldOut(Colour colour, ShapeKind shape, Role role);

/// Whether any object is held out in the role that a link, from either side, gives it. A single object has no role: it
/// is never held out.
bool isHeldOut(const Scene& scene);

}  // namespace cross_attention::scenes
