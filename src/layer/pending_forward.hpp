#pragma once

#include "core/pending_work.hpp"
#include "layer/diffusion_cross_attention.hpp"
#include "layer/forward_pass.hpp"

namespace cross_attention::layer {

template <class T>
struct DiffusionCrossAttention<T>::PendingForward::Work final : PendingWork::Work {
  explicit Work(std::unique_ptr<ForwardPass<T>> forward) : pass(std::move(forward)) {}
  void run(int slot) override { pass->schedule().run(slot); }
  bool advance(double milliseconds) override { return pass->schedule().advance(milliseconds); }

  std::unique_ptr<ForwardPass<T>> pass;
};

}  // namespace cross_attention::layer
