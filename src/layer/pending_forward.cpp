#include "layer/pending_forward.hpp"

#include <chrono>

namespace cross_attention::layer {

namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

template <class T>
DiffusionCrossAttention<T>::PendingForward::PendingForward(DiffusionCrossAttention& layer,
                                                           std::unique_ptr<ForwardPass<T>> pass)
    : state_(std::make_shared<State>()) {
  state_->layer = &layer;
  state_->pass = std::move(pass);
}

template <class T>
DiffusionCrossAttention<T>::PendingForward::~PendingForward() {
  // Nobody wants the output any more, but the thread behind may still be writing it.
  if (state_->startedBehind) state_->ranBehind.wait();
  state_->pass.reset();
}

template <class T>
bool DiffusionCrossAttention<T>::PendingForward::runBehind(std::function<void()> done) {
  ThreadPool& pool = ThreadPool::shared();
  if (!pool.canRunBehind()) return false;
  pool.runBehind([state = state_, done = std::move(done)] {
    const auto start = Clock::now();
    try {
      state->pass->schedule().run(ThreadPool::kBehindSlot);
    } catch (...) {
      state->failure = std::current_exception();
    }
    state->milliseconds = millisecondsSince(start);
    state->ranBehind.set();
    done();
  });
  // Only now: had there been no memory for the job, nobody would ever say that it ran.
  state_->startedBehind = true;
  return true;
}

template <class T>
bool DiffusionCrossAttention<T>::PendingForward::advance(double milliseconds) {
  if (state_->finished) return true;
  const auto start = Clock::now();
  bool done = true;
  try {
    done = state_->pass->schedule().advance(milliseconds);
  } catch (...) {
    state_->failure = std::current_exception();
  }
  state_->milliseconds += millisecondsSince(start);
  return done;
}

template <class T>
void DiffusionCrossAttention<T>::PendingForward::finish() {
  if (state_->finished) return;
  if (state_->startedBehind) {
    state_->ranBehind.wait();
  } else {
    const auto start = Clock::now();
    try {
      if (!state_->failure) state_->pass->schedule().run();
    } catch (...) {
      state_->failure = std::current_exception();
    }
    state_->milliseconds += millisecondsSince(start);
  }
  state_->finished = true;
  if (!state_->failure) {
    state_->layer->commit(*state_->pass, state_->milliseconds);
    output_ = state_->pass->output();
  }
  state_->pass.reset();
}

template <class T>
Tensor<T> DiffusionCrossAttention<T>::PendingForward::result() {
  finish();
  if (state_->failure) std::rethrow_exception(state_->failure);
  return *output_;
}

template class DiffusionCrossAttention<float>::PendingForward;
template class DiffusionCrossAttention<double>::PendingForward;

}  // namespace cross_attention::layer
