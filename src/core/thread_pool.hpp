#pragma once

#include <functional>
#include <memory>

#include "core/index.hpp"

namespace cross_attention {

/// The threads of this process. A call of run is worked off by the calling thread together with the pool's workers; a
/// worker without work looks for more for some tens of microseconds, then it sleeps. Without thread support
/// (CROSS_ATTENTION_THREADS off) the caller does all.
class ThreadPool {
 public:
  /// The most threads that are ever used.
  static constexpr int kMaxThreads = 64;
  /// Slots number the threads that can be inside tasks at the same time: 0 is the program's own thread, 1 …
  /// kMaxThreads - 1 the workers, the last one the thread of run-behind jobs (see runBehind).
  static constexpr int kSlots = kMaxThreads + 1;
  static constexpr int kBehindSlot = kMaxThreads;

  /// Work in stages: the tasks of a stage may run at the same time, those of the next one begin when all are done.
  class Stages {
   public:
    virtual Index stages() const = 0;
    virtual Index tasks(Index stage) const = 0;
    /// Called once for each task, in no order that may be relied on, by the thread in `slot`.
    virtual void run(Index stage, Index task, int slot) = 0;

   protected:
    ~Stages() = default;
  };

  static ThreadPool& shared();

  ~ThreadPool();

  /// Threads that work on a call, the calling one counted. Throws kArgument outside 1 … kMaxThreads, and where
  /// there are no threads for more than 1. Starts or stops workers; not while tasks run.
  void setThreads(int threads);
  int threads() const;

  /// Locks the workers for the caller's calls of run. `false`: another thread holds them; then the caller runs
  /// its tasks alone.
  bool tryAcquire();
  void release();

  /// Runs all tasks from task `firstTask` of stage `firstStage` on; returns when all are done. The caller has acquired
  /// the workers. The first exception of a task is rethrown here after all threads have left. Allocates nothing, and so
  /// cannot fail half-way.
  void run(Stages& work, Index firstStage, Index firstTask, int callerSlot);

  /// Runs `job` on a thread of its own that is neither the caller nor a worker, one after another in the order of
  /// the calls. `job` must not throw. Only where there are threads (see canRunBehind).
  void runBehind(std::function<void()> job);
  bool canRunBehind() const;

 private:
  ThreadPool();
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace cross_attention
