#pragma once

#include "core/tensor.hpp"

namespace cross_attention::operators {

/// How the time of diffusion steers a block: "adaptive layer norm" (Peebles and Xie, "Scalable diffusion models with
/// transformers", 2023, section 3.2). A modulation holds `parts` vectors of `features` a batch row, [batch, parts,
/// features]; x: [batch, tokens, features].

/// y = x·(1 + scale) + shift, with part `shiftPart` of the modulation as shift and the part after it as scale.
template <class T>
class Modulate {
 public:
  explicit Modulate(Index shiftPart) : shiftPart_(shiftPart) {}

  Tensor<T> forward(const Tensor<T>& input, const Tensor<T>& modulation, bool keep);
  /// dL/dx; adds to the modulation's gradient.
  Tensor<T> backward(const Tensor<T>& outputGradient, Tensor<T>& modulationGradient);

 private:
  Index shiftPart_;
  Tensor<T> input_, modulation_;
};

/// y = x + gate·branch, with part `gatePart` of the modulation as gate.
template <class T>
class GatedSum {
 public:
  explicit GatedSum(Index gatePart) : gatePart_(gatePart) {}

  Tensor<T> forward(const Tensor<T>& input, const Tensor<T>& branch, const Tensor<T>& modulation,
                    bool keep);
  /// dL/d(branch); adds to the modulation's gradient. dL/dx is the output's gradient itself.
  Tensor<T> backward(const Tensor<T>& outputGradient, Tensor<T>& modulationGradient);

 private:
  Index gatePart_;
  Tensor<T> branch_, modulation_;
};

}  // namespace cross_attention::operators
