#pragma once

#include "core/tensor.hpp"

namespace cross_attention::operators {

/// Conditioning of a block on the diffusion timestep by adaptive layer norm. A modulation [batch, parts,
/// features] holds `parts` vectors of `features` per batch row; x is [batch, tokens, features]. Based on:
/// Peebles and Xie, "Scalable diffusion models with transformers" (2023), section 3.2.

/// Computes y = x·(1 + scale) + shift. Part `shiftPart` of the modulation is the shift, and the part after it
/// is the scale.
template <class T>
class Modulate {
 public:
  explicit Modulate(Index shiftPart) : shiftPart_(shiftPart) {}

  Tensor<T> forward(const Tensor<T>& input, const Tensor<T>& modulation, bool saveForBackward);
  /// Returns dL/dx, and adds to the modulation's gradient.
  Tensor<T> backward(const Tensor<T>& outputGradient, Tensor<T>& modulationGradient);

 private:
  Index shiftPart_;
  Tensor<T> input_, modulation_;
};

/// Computes y = x + gate·branch. Part `gatePart` of the modulation is the gate.
template <class T>
class GatedSum {
 public:
  explicit GatedSum(Index gatePart) : gatePart_(gatePart) {}

  Tensor<T> forward(const Tensor<T>& input, const Tensor<T>& branch, const Tensor<T>& modulation,
                    bool saveForBackward);
  /// Returns dL/d(branch), and adds to the modulation's gradient. dL/dx is the output's gradient itself.
  Tensor<T> backward(const Tensor<T>& outputGradient, Tensor<T>& modulationGradient);

 private:
  Index gatePart_;
  Tensor<T> branch_, modulation_;
};

}  // namespace cross_attention::operators
