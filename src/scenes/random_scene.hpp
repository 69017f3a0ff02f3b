#pragma once

#include "core/random.hpp"
#include "scenes/scene.hpp"
#include "scenes/split.hpp"

namespace cross_attention::scenes {

/// A scene of one, two or three objects for which isTrue; `objects` 0 draws their number, too: one, two and three in a
/// quarter, a half and a quarter of training scenes, two and three in two thirds and one third of those held out. The
/// same state of `random` gives the same scene on every machine. Throws kArgument for other numbers, and for one object
/// that is to be held out: without a role none is.
///
/// - Two objects: one of the five relations. Three: one of them has a different relation, but none of kInside, to each
///   of the others.
/// - No two are alike in both colour and shape; what is inside something has another colour.
/// - Radii, in pixels: small 4.0–4.8, neither 5.0–6.2, large 6.6–8.0 (single objects up to 10); 4.0–8.0 (10) where the
///   scene tells no sizes, which is half of them. Within another object 4.0–4.8, in a ring's hole 3.6–4.8; around one
///   9–12, a ring 11–13.
/// - The background is said in two of five.
Scene randomScene(Random& random, Split split, int objects = 0);

}  // namespace cross_attention::scenes
