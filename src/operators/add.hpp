#pragma once

#include "core/tensor.hpp"

namespace cross_attention::operators {

/// Adds in place: a += b.
template <class T>
void addTo(Tensor<T>& a, const Tensor<T>& b);

/// Returns a + b.
template <class T>
Tensor<T> add(const Tensor<T>& a, const Tensor<T>& b);

}  // namespace cross_attention::operators
