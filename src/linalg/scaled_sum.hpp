#pragma once

#include "core/index.hpp"

namespace cross_attention::linalg {

/// Adds factor · values to `sums`, in double. Vectorized by the compiler, which is why it is compiled with
/// -O2.
template <class T>
void addScaled(double factor, const T* values, Index count, double* sums);

}  // namespace cross_attention::linalg
