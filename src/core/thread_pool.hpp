#pragma once

#include <functional>
#include <memory>

#include "core/index.hpp"

namespace cross_attention {

/// The threads of this process. The calling thread and the pool's workers share the tasks of a call of run.
/// An idle worker polls for some tens of microseconds before it sleeps. Without thread support
/// (CROSS_ATTENTION_THREADS off), the caller runs all tasks.
class ThreadPool {
 public:
  /// The maximum number of threads.
  static constexpr int kMaxThreads = 64;
  /// Slots number the threads that can run tasks at the same time: 0 is the program's main thread, 1 …
  /// kMaxThreads - 1 are the workers, and the last one is the background thread (see runInBackground).
  static constexpr int kSlots = kMaxThreads + 1;
  static constexpr int kBackgroundSlot = kMaxThreads;

  /// Work in stages: the tasks of a stage may run at the same time; the next stage begins when all of them
  /// are done.
  class Stages {
   public:
    virtual Index stages() const = 0;
    virtual Index tasks(Index stage) const = 0;
    /// Called once for each task, in unspecified order, by the thread in `slot`.
    virtual void run(Index stage, Index task, int slot) = 0;

   protected:
    ~Stages() = default;
  };

  static ThreadPool& shared();

  ~ThreadPool();

  /// Sets the number of threads that work on a call, including the caller. Starts or stops workers; must not
  /// be called while tasks run. Throws kArgument if `threads` is outside 1 … kMaxThreads, or is not 1 and
  /// there is no thread support.
  void setThreads(int threads);
  int threads() const;

  /// Locks the workers for the caller's calls of run. Returns false if another thread holds them; the caller
  /// must then run its tasks alone.
  bool tryAcquire();
  void release();

  /// Runs all tasks from task `firstTask` of stage `firstStage` on, and returns when all are done. The caller
  /// must have acquired the workers. Rethrows the first exception of a task after all threads have left.
  /// Allocates nothing, and therefore cannot fail half-way.
  void run(Stages& work, Index firstStage, Index firstTask, int callerSlot);

  /// Queues `job` for the background thread, which is neither the caller nor a worker and runs jobs in order.
  /// `job` must not throw. Requires canRunInBackground().
  void runInBackground(std::function<void()> job);
  bool canRunInBackground() const;

 private:
  ThreadPool();
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace cross_attention
