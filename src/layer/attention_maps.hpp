#pragma once

#include "layer/diffusion_cross_attention.hpp"
#include "layer/prepared_context.hpp"

namespace cross_attention::layer {

/// Returns the softmax probabilities of a call as a tensor [B, L, …] or [B, heads, L, …]: see attentionMaps
/// of the layer.
template <class T>
Tensor<T> computeAttentionMaps(const PassInputs<T>& inputs, const Arguments<T>& arguments,
                               const ContextCache<T>& cache, MapHeads heads);

}  // namespace cross_attention::layer
