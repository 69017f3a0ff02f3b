#pragma once

#include <algorithm>
#include <functional>

#include "core/tensor.hpp"

namespace cross_attention::denoiser {

/// a += b
template <class T>
void addTo(Tensor<T>& a, const Tensor<T>& b) {
  std::transform(a.begin(), a.end(), b.begin(), a.begin(), std::plus<T>());
}

/// a + b
template <class T>
Tensor<T> sum(const Tensor<T>& a, const Tensor<T>& b) {
  Tensor<T> result(a.shape());
  std::transform(a.begin(), a.end(), b.begin(), result.begin(), std::plus<T>());
  return result;
}

}  // namespace cross_attention::denoiser
