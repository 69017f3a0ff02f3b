#pragma once

#include "core/index.hpp"

namespace cross_attention::denoiser {

struct LearningRateOptions {
  double most = 0.0005;
  double warmUp = 300;  ///< steps
  double steps = 30000;
  double fall = 0.5;  ///< share of the steps, at the end
};

/// Rises linearly over the first steps, stays, and falls as a cosine over the last ones (Loshchilov and Hutter, "SGDR",
/// 2017, equation 5): so a run can be made longer from a checkpoint before its fall. `step`: taken so far.
double learningRate(Index step, const LearningRateOptions& options);

}  // namespace cross_attention::denoiser
