#pragma once

#include <functional>
#include <memory>

#include "core/index.hpp"

namespace cross_attention {

/// The threads of this process. A call of parallelFor is worked off by the calling thread together with the pool's
/// workers; a worker without work sleeps. Without thread support (CROSS_ATTENTION_THREADS off) the caller does all.
class ThreadPool {
 public:
  /// The most threads that are ever used.
  static constexpr int kMaxThreads = 64;
  /// Slots number the threads that can be inside tasks at the same time: 0 is the program's own thread, 1 …
  /// kMaxThreads - 1 the workers, the last one the thread of run-behind jobs (see runBehind).
  static constexpr int kSlots = kMaxThreads + 1;
  static constexpr int kBehindSlot = kMaxThreads;

  /// What a task does: (task index, slot of the thread that runs it). A reference to it, good for the length of a call:
  /// a parallelFor allocates nothing, and so cannot fail half-way through a schedule.
  class Task {
   public:
    template <class Work>
    Task(const Work& work)
        : work_(&work), run_([](const void* erased, Index index, int slot) {
            (*static_cast<const Work*>(erased))(index, slot);
          }) {}
    Task(const Task&) = default;
    void operator()(Index index, int slot) const { run_(work_, index, slot); }

   private:
    const void* work_;
    void (*run_)(const void*, Index, int);
  };

  static ThreadPool& shared();

  ~ThreadPool();

  /// Threads that work on a call, the calling one counted. Throws kArgument outside 1 … kMaxThreads, and where
  /// there are no threads for more than 1. Starts or stops workers; not while tasks run.
  void setThreads(int threads);
  int threads() const;

  /// Locks the workers for the caller's parallelFor calls. `false`: another thread holds them; then the caller runs
  /// its tasks alone.
  bool tryAcquire();
  void release();

  /// Runs task 0 … count - 1, each once, in no order that may be relied on; returns when all are done. The caller
  /// has acquired the workers. The first exception of a task is rethrown here after all threads have left.
  void parallelFor(Index count, int callerSlot, Task task);

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
