#include "core/schedule.hpp"

#include <algorithm>
#include <chrono>

namespace cross_attention {

namespace {

/// Holds the pool's workers while in scope, unless another thread holds them.
class WorkerLock {
 public:
  WorkerLock() : acquired_(ThreadPool::shared().tryAcquire()) {}
  ~WorkerLock() {
    if (acquired_) ThreadPool::shared().release();
  }
  WorkerLock(const WorkerLock&) = delete;
  WorkerLock& operator=(const WorkerLock&) = delete;
  bool acquired() const { return acquired_; }

 private:
  bool acquired_;
};

}  // namespace

Schedule::Schedule(std::shared_ptr<Workspace> workspace)
    : workspace_(std::move(workspace)), memory_(workspace_->takeStageMemory()) {}

Schedule::~Schedule() {
  memory_.clear();
  workspace_->returnStageMemory(std::move(memory_));
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
  const WorkerLock workers;
  ThreadPool& pool = ThreadPool::shared();
  // Reserve all memory first: an allocation must not fail after an earlier stage has written results.
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
  ByteCount maximum = 0;
  for (const StageMemory::Stage& stage : memory_.stages) {
    maximum = std::max(maximum, stage.scratchBytes);
  }
  return maximum;
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
