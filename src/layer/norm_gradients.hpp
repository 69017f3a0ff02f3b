#pragma once

#include <optional>
#include <span>

#include "core/buffer.hpp"
#include "layer/parameters.hpp"

namespace cross_attention::layer {

/// The gradients of the weight and bias of a query or key norm, summed head by head, because the heads share
/// the parameters and run at the same time. Without a norm it has no memory.
template <class T>
class NormGradients {
 public:
  explicit NormGradients(const Configuration& configuration)
      : heads_(configuration.hasNorm() ? configuration.numHeads : 0),
        headDim_(configuration.headDim()),
        sums_(ByteCount{2} * heads_ * headDim_) {
    sums_.clear();
  }

  T* weight(Index head) { return sums_.data() + 2 * head * headDim_; }
  T* bias(Index head) { return weight(head) + headDim_; }

  /// Adds the sums to the gradients of the trainable parameters, those of the bias if one is given and the
  /// layer has it, and clears them.
  void addTo(Parameters<T>& parameters, ParameterId weightId, std::optional<ParameterId> biasId) {
    const bool hasWeight = parameters.isTrainable(weightId);
    const bool hasBias = biasId && parameters.layout().has(*biasId) && parameters.isTrainable(*biasId);
    for (Index head = 0; head < heads_; ++head) {
      if (hasWeight) add(weight(head), parameters.gradients(weightId));
      if (hasBias) add(bias(head), parameters.gradients(*biasId));
    }
    sums_.clear();
  }

 private:
  static void add(const T* sums, std::span<T> gradients) {
    for (T& gradient : gradients) gradient += *sums++;
  }

  Index heads_;
  Index headDim_;
  Buffer<T> sums_;
};

}  // namespace cross_attention::layer
