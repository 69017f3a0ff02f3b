#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/index.hpp"

namespace cross_attention::denoiser {

/// For each token of the prompt `to` the place in the prompt `from` whose attention it takes over, or kNone. Prompts of one
/// length are compared place by place, for words were replaced; others by their longest common subsequence, for words
/// were added or left out (Hertz et al., "Prompt-to-prompt image editing with cross attention control", 2022, section 3.2).
inline constexpr Index kNone = -1;
std::vector<Index> alignWords(std::span<const std::int32_t> from, std::span<const std::int32_t> to);

}  // namespace cross_attention::denoiser
