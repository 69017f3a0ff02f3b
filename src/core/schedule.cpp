#include "core/schedule.hpp"

#include <algorithm>
#include <chrono>

namespace cross_attention {

namespace {

/// The pool's workers while in scope, or nothing where another thread has them.
class Workers {
 public:
  Workers() : acquired_(ThreadPool::shared().tryAcquire()) {}
  ~Workers() {
    if (acquired_) ThreadPool::shared().release();
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  bool acquired() const { return acquired_; }

 private:
  bool acquired_;
};

}  // namespace

void Schedule::addStage(Stage stage) { stages_.push_back(std::move(stage)); }

void Schedule::run(int slot) {
  const Workers workers;
  ThreadPool& pool = ThreadPool::shared();
  // All memory first, so that no stage can fail for lack of it after another has written results.
  const int helpers = workers.acquired() ? pool.threads() - 1 : 0;
  const Amount scratchBytes = mostScratchBytes();
  (*workspace_)[slot].reserve(scratchBytes);
  for (int worker = 1; worker <= helpers; ++worker) (*workspace_)[worker].reserve(scratchBytes);
  for (; stage_ < stages_.size(); ++stage_, nextTask_ = 0) {
    const Stage& stage = stages_[stage_];
    const Index first = nextTask_;
    const auto runTask = [&](Index index, int taskSlot) {
      Scratch& scratch = (*workspace_)[taskSlot];
      scratch.reset();
      stage.work->run(first + index, scratch);
    };
    if (helpers > 0) {
      pool.parallelFor(stage.tasks - first, slot, runTask);
    } else {
      for (Index index = 0; index < stage.tasks - first; ++index) runTask(index, slot);
    }
  }
}

Amount Schedule::mostScratchBytes() const {
  Amount most = 0;
  for (const Stage& stage : stages_) most = std::max(most, stage.scratchBytes);
  return most;
}

bool Schedule::advance(double milliseconds) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  Scratch& scratch = (*workspace_)[0];
  scratch.reserve(mostScratchBytes());
  for (; stage_ < stages_.size(); ++stage_, nextTask_ = 0) {
    const Stage& stage = stages_[stage_];
    while (nextTask_ < stage.tasks) {
      const std::chrono::duration<double, std::milli> elapsed = Clock::now() - start;
      if (elapsed.count() >= milliseconds) return false;
      scratch.reset();
      stage.work->run(nextTask_++, scratch);
    }
  }
  return true;
}

}  // namespace cross_attention
