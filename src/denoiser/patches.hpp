#pragma once

#include "core/tensor.hpp"

namespace cross_attention::denoiser {

/// Pictures [batch, channels, size, size] ↔ pixels [batch, size², channels].
template <class T>
Tensor<T> toPixels(const Tensor<T>& pictures);
template <class T>
Tensor<T> fromPixels(const Tensor<T>& pixels);

/// Pixels [batch, size², features] ↔ patches [batch, (size / patch)², patch² · features], row by row.
template <class T>
Tensor<T> toPatches(const Tensor<T>& pixels, Index patch);
template <class T>
Tensor<T> fromPatches(const Tensor<T>& patches, Index patch);

}  // namespace cross_attention::denoiser
