#pragma once

#include <string>

#include "core/random.hpp"
#include "scenes/scene.hpp"

namespace cross_attention::scenes {

inline constexpr int kMaxCaptionWords = 22;

/// Returns a random phrasing of the scene. It contains all colours, shapes and relations, and the sizes and
/// the background if the scene mentions them; relations may be described from either side. Lower case, words
/// of the vocabulary with single spaces, at most kMaxCaptionWords. Throws kArgument like validate.
std::string caption(const Scene& scene, Random& random);

/// Returns the plainest phrasing, for prompts: "a small red circle left of a blue square and above a green
/// star on a white background".
std::string plainCaption(const Scene& scene);

}  // namespace cross_attention::scenes
