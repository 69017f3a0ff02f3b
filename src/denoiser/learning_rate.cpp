#include "denoiser/learning_rate.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace cross_attention::denoiser {

double learningRate(Index step, const LearningRateOptions& options) {
  const auto at = static_cast<double>(step);
  if (at < options.warmUp) return options.most * (at + 1) / options.warmUp;
  const double fall = options.steps * options.fall;
  const double left = std::max(0.0, options.steps - at);
  if (left >= fall) return options.most;
  return options.most * 0.5 * (1 - std::cos(std::numbers::pi * left / fall));
}

}  // namespace cross_attention::denoiser
