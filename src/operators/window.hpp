#pragma once

#include "core/index.hpp"

namespace cross_attention::operators {

/// The 3×3 window of both convolutions.
constexpr Index kReach = 1;
constexpr Index kWidth = 2 * kReach + 1;
constexpr Index kTaps = kWidth * kWidth;

}  // namespace cross_attention::operators
