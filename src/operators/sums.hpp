#pragma once

#include "core/tensor.hpp"

namespace cross_attention::operators {

/// a += b
template <class T>
void addTo(Tensor<T>& a, const Tensor<T>& b);

/// a + b
template <class T>
Tensor<T> sum(const Tensor<T>& a, const Tensor<T>& b);

}  // namespace cross_attention::operators
