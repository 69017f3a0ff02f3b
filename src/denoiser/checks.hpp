#pragma once

#include "core/error.hpp"

namespace cross_attention::denoiser {

/// Throws kArgument, naming the argument, for a number outside of least … most, and for NaN.
inline void requireRange(const char* name, double value, double least, double most) {
  if (value >= least && value <= most) return;
  failArgument({name, " is ", value, "; it takes ", least, " to ", most});
}

}  // namespace cross_attention::denoiser
