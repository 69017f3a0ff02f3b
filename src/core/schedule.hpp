#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/scratch.hpp"
#include "core/thread_pool.hpp"

namespace cross_attention {

/// Work in stages. The tasks of one stage are independent of each other; each stage requires the results of
/// the stages before it. A schedule runs on all threads at once (run), or in time slices on one thread
/// (advance). The result of a task must not depend on the thread that runs it, so that results have the same
/// bits for any number of threads.
class Schedule {
 public:
  /// Uses the workspace's memory for stages and returns it in the destructor, so that consecutive schedules
  /// do not allocate.
  explicit Schedule(std::shared_ptr<Workspace> workspace);
  ~Schedule();
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;

  /// Adds a stage of `tasks` calls of work(task, scratch). `scratchBytes`: the scratch memory that one task
  /// uses.
  template <class Work>
  void add(Index tasks, ByteCount scratchBytes, Work work) {
    static_assert(sizeof(WorkOf<Work>) <= StageMemory::kBlockBytes);
    void* memory = memory_.allocate(sizeof(WorkOf<Work>));
    memory_.add(tasks, scratchBytes, new (memory) WorkOf<Work>(std::move(work)));
  }

  /// Runs all remaining tasks on the pool's threads. The calling thread takes part as `slot`.
  void run(int slot = 0);
  /// Restarts the schedule. Its stages must still have everything they need.
  void rewind() {
    stage_ = 0;
    nextTask_ = 0;
  }
  /// Runs tasks on the calling thread until `milliseconds` have passed. Returns true if all tasks are done.
  bool advance(double milliseconds);

  /// The maximum scratch of all tasks, in bytes per thread.
  ByteCount scratchBytes() const;
  /// Reserves this scratch for all threads, so that later runs do not allocate. Throws kOutOfMemory.
  void reserve();

 private:
  class Run;
  template <class Work>
  struct WorkOf final : StageMemory::AnyWork {
    explicit WorkOf(Work function) : work(std::move(function)) {}
    void run(Index task, Scratch& scratch) override { work(task, scratch); }
    Work work;
  };

  std::shared_ptr<Workspace> workspace_;
  StageMemory memory_;
  std::size_t stage_ = 0;
  Index nextTask_ = 0;
};

}  // namespace cross_attention
