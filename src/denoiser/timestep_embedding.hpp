#pragma once

#include <span>

#include "core/tensor.hpp"

namespace cross_attention::denoiser {

inline constexpr Index kTimeFeatures = 128;

/// [times, 1, kTimeFeatures]: cosine and sine, by turns, of waves from 1000 radians a unit of time down to 0.1 (Vaswani et
/// al., 2017, section 3.5, as Ho et al., 2020, take it for steps of a thousandth).
template <class T>
Tensor<T> timestepEmbedding(std::span<const T> times);

}  // namespace cross_attention::denoiser
