#pragma once

#include "core/random.hpp"
#include "scenes/scene.hpp"
#include "scenes/split.hpp"

namespace cross_attention::scenes {

/// Returns a scene of one, two or three objects for which isConsistent is true. If `objects` is 0, their
/// number is random: in training scenes one with probability 1/5, two and three with 2/5 each; in held-out
/// scenes two with 2/3, three with 1/3. The same state of `random` gives the same scene on every machine.
/// Throws kArgument for other numbers, and for one held-out object, because an object without a role is never
/// held out.
///
/// - Two objects have one of the five relations. With three objects, the subject is left or right of one of
///   the others, and above or below the third.
/// - No two objects have the same colour and shape. An object inside another has a different colour.
/// - Radii in pixels: small 5.2–5.8, medium 6.0–7.0, large 7.2–8.5 (single objects up to 11). In scenes that
///   mention no sizes, which are half of them: 5.2–8.5 (11). Inside another object 5.2–5.8, inside a ring
///   4.2–4.8; outer objects 11–13, outer rings 14–15.
/// - The background is mentioned with probability 2/5.
Scene randomScene(Random& random, Split split, int objects = 0);

}  // namespace cross_attention::scenes
