#pragma once

#include "layer/diffusion_cross_attention.hpp"
#include "layer/forward_pass.hpp"

namespace cross_attention::layer {

/// The softmax probabilities of a call, as tensors [B, L, …] or [B, heads, L, …] (see attentionMaps of the layer).
template <class T>
Tensor<T> computeAttentionMaps(const Configuration& configuration, const Parameters<T>& parameters,
                               PackedWeights<T>& weights, std::shared_ptr<Workspace> workspace,
                               const Arguments<T>& arguments,
                               std::shared_ptr<const ProjectedContext<T>> ready, MapHeads heads);

}  // namespace cross_attention::layer
