#pragma once

#include <string>

#include "core/random.hpp"
#include "scenes/scene.hpp"

namespace cross_attention::scenes {

inline constexpr int kMostCaptionWords = 22;

/// What can be seen, in one of many phrasings: all colours, shapes and relations, the sizes and the background where
/// the scene says them; from either side of a relation. Lower case, words of the vocabulary with single spaces between
/// them, at most kMostCaptionWords. Throws kArgument as validate does.
std::string caption(const Scene& scene, Random& random);

/// The same in the plainest words, for prompts: "a small red circle left of a blue square and above a green star on a
/// white background".
std::string plainCaption(const Scene& scene);

}  // namespace cross_attention::scenes
