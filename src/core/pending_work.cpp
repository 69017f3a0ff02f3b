#include "core/pending_work.hpp"

#include <chrono>

#include "core/thread_pool.hpp"

namespace cross_attention {

template <class Part>
void PendingWork::State::attempt(Part part) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  try {
    part(*work);
  } catch (...) {
    failure = std::current_exception();
  }
  milliseconds += std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

PendingWork::PendingWork(std::unique_ptr<Work> work) : state_(std::make_shared<State>()) {
  state_->work = std::move(work);
}

PendingWork::~PendingWork() {
  // The results are no longer needed, but the background thread may still be writing them.
  if (startedInBackground_) state_->ranInBackground.wait();
  state_->work.reset();
}

bool PendingWork::runInBackground(std::function<void()> done) {
  ThreadPool& pool = ThreadPool::shared();
  if (!pool.canRunInBackground()) return false;
  pool.runInBackground([state = state_, done = std::move(done)] {
    state->attempt([](Work& work) { work.run(ThreadPool::kBackgroundSlot); });
    state->ranInBackground.set();
    done();
  });
  // Set only after the job was queued: if queuing it throws, no job will ever signal its end.
  startedInBackground_ = true;
  return true;
}

bool PendingWork::advance(double milliseconds) {
  if (finished_) return true;
  bool done = true;
  state_->attempt([&](Work& work) { done = work.advance(milliseconds); });
  return done;
}

void PendingWork::finish() {
  if (finished_) return;
  if (startedInBackground_) {
    state_->ranInBackground.wait();
  } else if (!state_->failure) {
    state_->attempt([](Work& work) { work.run(0); });
  }
  finished_ = true;
}

}  // namespace cross_attention
