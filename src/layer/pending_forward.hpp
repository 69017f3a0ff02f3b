#pragma once

#include <exception>
#include <functional>

#include "core/threading.hpp"
#include "layer/diffusion_cross_attention.hpp"
#include "layer/forward_pass.hpp"

namespace cross_attention::layer {

template <class T>
struct DiffusionCrossAttention<T>::PendingForward::State {
  DiffusionCrossAttention* layer;
  std::unique_ptr<ForwardPass<T>> pass;
  /// Set on the thread behind once it is done with the pass.
  Event ranBehind;
  bool startedBehind = false;
  bool finished = false;
  double milliseconds = 0;
  std::exception_ptr failure;
};

}  // namespace cross_attention::layer
