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
  // Nobody wants the results any more, but the thread behind may still be writing them.
  if (startedBehind_) state_->ranBehind.wait();
  state_->work.reset();
}

bool PendingWork::runBehind(std::function<void()> done) {
  ThreadPool& pool = ThreadPool::shared();
  if (!pool.canRunBehind()) return false;
  pool.runBehind([state = state_, done = std::move(done)] {
    state->attempt([](Work& work) { work.run(ThreadPool::kBehindSlot); });
    state->ranBehind.set();
    done();
  });
  // Only now: had there been no memory for the job, nobody would ever say that it ran.
  startedBehind_ = true;
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
  if (startedBehind_) {
    state_->ranBehind.wait();
  } else if (!state_->failure) {
    state_->attempt([](Work& work) { work.run(0); });
  }
  finished_ = true;
}

}  // namespace cross_attention
