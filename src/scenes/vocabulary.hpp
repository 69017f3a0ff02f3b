#pragma once

#include <span>
#include <string_view>

namespace cross_attention::scenes {

/// All words that captions are made of, each once. A model's ids are made from this order: new words go to the end.
std::span<const std::string_view> vocabulary();

}  // namespace cross_attention::scenes
