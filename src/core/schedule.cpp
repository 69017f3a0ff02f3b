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

Schedule::Schedule(std::shared_ptr<Workspace> workspace)
    : workspace_(std::move(workspace)), memory_(workspace_->takeStageMemory()) {}

Schedule::~Schedule() {
  memory_.clear();
  workspace_->giveBack(std::move(memory_));
}

class Schedule::Run final : public ThreadPool::Stages {
 public:
  explicit Run(Schedule& schedule) : schedule_(schedule) {}
  Index stages() const override { return static_cast<Index>(schedule_.memory_.stages.size()); }
  Index tasks(Index stage) const override { return at(stage).tasks; }
  void run(Index stage, Index task, int slot) override {
    Scratch& scratch = (*schedule_.workspace_)[slot];
    scratch.reset();
    at(stage).work->run(task, scratch);
  }

 private:
  const StageMemory::Stage& at(Index stage) const {
    return schedule_.memory_.stages[static_cast<std::size_t>(stage)];
  }
  Schedule& schedule_;
};

void Schedule::run(int slot) {
  const Workers workers;
  ThreadPool& pool = ThreadPool::shared();
  // All memory first, so that no stage can fail for lack of it after another has written results.
  const ByteCount bytes = scratchBytes();
  (*workspace_)[slot].reserve(bytes);
  Run work(*this);
  const Index firstTask = std::exchange(nextTask_, 0);
  const auto firstStage = static_cast<Index>(std::exchange(stage_, memory_.stages.size()));
  if (workers.acquired()) {
    for (int worker = 1; worker < pool.threads(); ++worker) {
      (*workspace_)[worker].reserve(bytes);
    }
    return pool.run(work, firstStage, firstTask, slot);
  }
  for (Index stage = firstStage; stage < work.stages(); ++stage) {
    const Index first = stage == firstStage ? firstTask : 0;
    for (Index task = first; task < work.tasks(stage); ++task) work.run(stage, task, slot);
  }
}

ByteCount Schedule::scratchBytes() const {
  ByteCount most = 0;
  for (const StageMemory::Stage& stage : memory_.stages) most = std::max(most, stage.scratchBytes);
  return most;
}

void Schedule::reserve() {
  for (int slot = 0; slot < ThreadPool::shared().threads(); ++slot) {
    (*workspace_)[slot].reserve(scratchBytes());
  }
}

bool Schedule::advance(double milliseconds) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  Scratch& scratch = (*workspace_)[0];
  scratch.reserve(scratchBytes());
  for (; stage_ < memory_.stages.size(); ++stage_, nextTask_ = 0) {
    const StageMemory::Stage& stage = memory_.stages[stage_];
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
