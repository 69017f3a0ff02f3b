#pragma once

#include <span>
#include <string_view>

namespace cross_attention::scenes {

/// Returns all words of captions, each once. Models number words in this order, so new words must be
/// appended.
std::span<const std::string_view> vocabulary();

}  // namespace cross_attention::scenes
