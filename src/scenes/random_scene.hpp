#pragma once

#include "core/random.hpp"
#include "scenes/scene.hpp"
#include "scenes/split.hpp"

namespace cross_attention::scenes {

/// A scene of one, two or three objects for which isTrue; `objects` 0 draws their number, too: one in a fifth, two and
/// three in two fifths each of training scenes, two and three in two thirds and one third of those held out. The same
/// state of `random` gives the same scene on every machine. Throws kArgument for other numbers, and for one object that is
/// to be held out: without a role none is.
///
/// - Two objects: one of the five relations. Three: one of them is beside one of the others and above or below the third.
/// - No two are alike in both colour and shape; what is inside something has another colour.
/// - Radii, in pixels: small 5.2–5.8, neither 6.0–7.0, large 7.2–8.5 (single objects up to 11); 5.2–8.5 (11) where the
///   scene tells no sizes, which is half of them. Within another object 5.2–5.8, in a ring's hole 4.2–4.8; around one
///   11–13, a ring 14–15.
/// - The background is said in two of five.
Scene randomScene(Random& random, Split split, int objects = 0);

}  // namespace cross_attention::scenes
