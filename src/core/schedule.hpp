#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/scratch.hpp"
#include "core/thread_pool.hpp"

namespace cross_attention {

/// Work in stages: the tasks of one stage are independent of each other, each stage needs the ones before it. The same
/// schedule runs on all threads at once (run), or on one thread a slice at a time (advance). What a task computes must
/// not depend on which thread runs it: so results are the same bits for any number of threads.
class Schedule {
 public:
  /// Takes its memory for stages from the workspace, and gives it back: schedules one after another allocate nothing.
  explicit Schedule(std::shared_ptr<Workspace> workspace);
  ~Schedule();
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;

  /// A stage of `tasks` calls of work(task, scratch). `scratchBytes`: what a task takes from its thread's scratch.
  template <class Work>
  void add(Index tasks, ByteCount scratchBytes, Work work) {
    static_assert(sizeof(WorkOf<Work>) <= StageMemory::kBlockBytes);
    void* place = memory_.makeRoom(sizeof(WorkOf<Work>));
    memory_.add(tasks, scratchBytes, new (place) WorkOf<Work>(std::move(work)));
  }

  /// All that is left, on the pool's threads, the calling one in `slot` among them.
  void run(int slot = 0);
  /// From the beginning, another time. What the stages need must not have been given up by their last run.
  void rewind() {
    stage_ = 0;
    nextTask_ = 0;
  }
  /// Tasks one after another on the calling thread until `milliseconds` have passed. `true`: all is done.
  bool advance(double milliseconds);

  /// Of the task that takes most; a thread at a time.
  ByteCount scratchBytes() const;
  /// Takes it, for all threads: runs that follow allocate nothing. Throws kOutOfMemory.
  void reserve();

 private:
  class Run;
  template <class Work>
  struct WorkOf final : StageMemory::AnyWork {
    explicit WorkOf(Work given) : work(std::move(given)) {}
    void run(Index task, Scratch& scratch) override { work(task, scratch); }
    Work work;
  };

  std::shared_ptr<Workspace> workspace_;
  StageMemory memory_;
  std::size_t stage_ = 0;
  Index nextTask_ = 0;
};

}  // namespace cross_attention
