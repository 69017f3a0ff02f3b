#pragma once

#include "operators/parameter.hpp"

namespace cross_attention::operators {

/// A low-rank update ("LoRA"): W + scale·B·A replaces a weight W. A: [rank, inFeatures]; B: [outFeatures,
/// rank], initialized to zeros. Based on: Hu et al. (2021), section 4.1.
template <class T>
struct LowRankUpdate {
  Parameter<T>* down;  ///< A
  Parameter<T>* up;    ///< B
  T scale;

  Index rank() const { return down->shape[0]; }
  Index inFeatures() const { return down->shape[1]; }
  Index outFeatures() const { return up->shape[0]; }

  /// Adds W += scale·B·A. `weight`: [outFeatures, inFeatures].
  void addTo(T* weight) const;
  /// Adds dB += scale·dW·Aᵀ and dA += scale·Bᵀ·dW. `weightGradient`: [outFeatures, inFeatures].
  void addGradients(const T* weightGradient) const;
};

}  // namespace cross_attention::operators
