#pragma once

#include "operators/parameter.hpp"

namespace cross_attention::operators {

/// W + scale·B·A in place of a weight W: "LoRA" (Hu et al., 2021, section 4.1). A: [rank, inFeatures], B: [outFeatures,
/// rank], which begins with zeros.
template <class T>
struct LowRankUpdate {
  Parameter<T>* down;  ///< A
  Parameter<T>* up;    ///< B
  T scale;

  Index rank() const { return down->shape[0]; }
  Index inFeatures() const { return down->shape[1]; }
  Index outFeatures() const { return up->shape[0]; }

  /// W += scale·B·A; weight: [outFeatures, inFeatures].
  void addTo(T* weight) const;
  /// dB += scale·dW·Aᵀ, dA += scale·Bᵀ·dW; weightGradient: [outFeatures, inFeatures].
  void addGradients(const T* weightGradient) const;
};

}  // namespace cross_attention::operators
