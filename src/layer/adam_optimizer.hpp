#pragma once

#include <vector>

#include "core/buffer.hpp"
#include "layer/parameters.hpp"

namespace cross_attention::layer {

/// The hyper-parameters of one step of AdamOptimizer.
struct AdamStep {
  double learningRate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weightDecay = 0;
  /// The number of the step, from 1.
  double step = 1;
};

/// Adam with decoupled weight decay for some parameters of a layer.
/// Based on: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2, with the
/// weight decay multiplied by the learning rate, as in torch.optim.AdamW.
template <class T>
class AdamOptimizer {
 public:
  /// Averages of a parameter's gradients and of their squares.
  struct Moments {
    ParameterId id;
    Buffer<T> mean, square;
  };

  /// Adds a parameter, with moments of zero. Throws kOutOfMemory.
  void add(const Parameters<T>& parameters, ParameterId id);
  /// One for each added parameter, in the order of the calls of add.
  std::vector<Moments>& moments() { return moments_; }
  const std::vector<Moments>& moments() const { return moments_; }

  /// Updates p ← p - learningRate·(m̂/(√v̂ + ε) + weightDecay·p) for the added parameters and clears all
  /// gradients. Gradients without memory are zero. Call touch() afterwards. Throws kOutOfMemory, without any
  /// change.
  void update(Parameters<T>& parameters, const AdamStep& step);

 private:
  std::vector<Moments> moments_;
};

}  // namespace cross_attention::layer
