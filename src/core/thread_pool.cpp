#include "core/thread_pool.hpp"

#include <atomic>
#include <cstdint>

#include "core/error.hpp"
#include "core/text.hpp"
#include "core/threading.hpp"

#if CROSS_ATTENTION_THREADS
#include <array>
#include <exception>
#include <optional>
#include <vector>
#endif

namespace cross_attention {

ThreadPool& ThreadPool::shared() {
  static ThreadPool pool;
  return pool;
}

#if CROSS_ATTENTION_THREADS

namespace {

/// Polls before a thread sleeps: some tens of microseconds, about as long as waking it would take.
constexpr int kSpins = 20000;

/// Waits for `ready()`: polls first, then sleeps. `ready` is called with and without the lock.
template <class Ready>
void spinThenSleep(Mutex& mutex, Condition& condition, std::atomic<int>& sleepers, Ready ready) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (ready()) return;
  }
  const Lock lock(mutex);
  ++sleepers;
  condition.wait(mutex, ready);
  --sleepers;
}

/// Wakes threads that wait for a value that the caller has just stored. Either the caller sees the sleepers,
/// or they see the value.
void wakeSleepers(Mutex& mutex, Condition& condition, const std::atomic<int>& sleepers) {
  if (sleepers == 0) return;
  const Lock lock(mutex);
  condition.notifyAll();
}

/// One call of ThreadPool::run: threads claim tasks until none is left.
class Round {
 public:
  Round(ThreadPool::Stages& work, Index firstStage, Index firstTask) : work_(work) {
    begin(firstStage, firstTask);
  }

  /// Runs tasks on the calling thread until all are done or one has failed.
  void join(int slot) {
    for (;;) {
      const Cursor claimed = cursor_.fetch_add(1);
      const Index stage = stageOf(claimed);
      if (stage == work_.stages()) return;
      if (taskOf(claimed) < work_.tasks(stage)) {
        run(stage, taskOf(claimed), slot);
      } else {
        spinThenSleep(mutex_, stageEnded_, sleepers_, [&] { return stageOf(cursor_) != stage; });
      }
    }
  }

  void rethrowFailure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  /// The stage (upper 32 bits) and the next task (lower 32 bits), so that one atomic operation claims both.
  using Cursor = std::uint64_t;
  static Index stageOf(Cursor cursor) { return static_cast<Index>(cursor >> 32); }
  static Index taskOf(Cursor cursor) { return static_cast<Index>(cursor & 0xFFFFFFFF); }

  /// Called only by the thread that knows that no task is running.
  void begin(Index stage, Index task) {
    while (stage < work_.stages() && task >= work_.tasks(stage)) {
      ++stage;
      task = 0;
    }
    done_ = task;
    moveTo(stage, task);
  }

  void moveTo(Index stage, Index task) {
    cursor_ = static_cast<Cursor>(stage) << 32 | static_cast<Cursor>(task);
    wakeSleepers(mutex_, stageEnded_, sleepers_);
  }

  void run(Index stage, Index task, int slot) {
    try {
      work_.run(stage, task, slot);
    } catch (...) {
      {
        const Lock lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
      }
      // This task is never counted as done, so no other thread can advance the stage.
      return moveTo(work_.stages(), 0);
    }
    if (done_.fetch_add(1) + 1 == work_.tasks(stage)) begin(stage + 1, 0);
  }

  ThreadPool::Stages& work_;
  std::atomic<Cursor> cursor_{0};
  /// Finished tasks of the current stage.
  std::atomic<Index> done_{0};
  Mutex mutex_;
  Condition stageEnded_;
  std::atomic<int> sleepers_{0};
  std::exception_ptr failure_;  // guarded by mutex_
};

}  // namespace

struct ThreadPool::Implementation {
  /// One worker thread.
  struct Worker {
    Worker(Implementation& owner, int number)
        : pool(owner), slot(number), seen(owner.rounds), thread(&run, this) {}
    static void* run(void* worker) {
      Worker& self = *static_cast<Worker*>(worker);
      self.pool.runWorker(self.slot, self.seen);
      return nullptr;
    }

    Implementation& pool;
    int slot;
    /// The last round that this worker has seen.
    unsigned long long seen;
    /// The last member, because the thread uses the others.
    Thread thread;
  };

  Mutex acquired;

  Mutex mutex;
  Condition wake;
  std::atomic<int> sleepers{0};
  Round* round = nullptr;                     // guarded by mutex
  std::atomic<unsigned long long> rounds{0};  // written under mutex
  std::atomic<bool> stopping{false};          // written under mutex
  Condition allLeft;
  std::atomic<int> inside{0};  // written under mutex
  std::atomic<int> leavingSleepers{0};
  /// Indexed by slot; slot 0 is the caller.
  std::array<std::unique_ptr<Worker>, kMaxThreads> workers;
  /// Including the caller.
  int threads = 1;

  Mutex jobsMutex;
  Condition jobsChanged;
  std::vector<std::function<void()>> jobs;  // guarded by jobsMutex
  bool jobsStopping = false;                // guarded by jobsMutex
  std::optional<Thread> backgroundThread;

  void runWorker(int slot, unsigned long long seen) {
    for (;;) {
      spinThenSleep(mutex, wake, sleepers, [&] { return stopping || rounds != seen; });
      Round* current = nullptr;
      {
        const Lock lock(mutex);
        if (stopping) return;
        seen = rounds;
        current = round;
        if (current == nullptr) continue;  // The round ended before this thread joined.
        ++inside;
      }
      current->join(slot);
      // Needs the lock: the caller may destroy the round as soon as it sees that no worker is inside.
      const Lock lock(mutex);
      if (--inside == 0) allLeft.notifyOne();
    }
  }

  /// Runs the round on the calling thread and on all workers that join in time.
  void share(Round& shared, int callerSlot) {
    {
      const Lock lock(mutex);
      round = &shared;
      ++rounds;
    }
    wakeSleepers(mutex, wake, sleepers);
    shared.join(callerSlot);
    {
      // Workers that have not joined by now are not needed.
      const Lock lock(mutex);
      round = nullptr;
    }
    spinThenSleep(mutex, allLeft, leavingSleepers, [&] { return inside == 0; });
  }

  static void* runJobs(void* implementation) {
    Implementation& pool = *static_cast<Implementation*>(implementation);
    for (;;) {
      std::function<void()> job;
      {
        const Lock lock(pool.jobsMutex);
        pool.jobsChanged.wait(pool.jobsMutex, [&] { return pool.jobsStopping || !pool.jobs.empty(); });
        if (pool.jobs.empty()) return nullptr;
        job = std::move(pool.jobs.front());
        pool.jobs.erase(pool.jobs.begin());
      }
      job();
    }
  }

  void stopWorkers() {
    {
      const Lock lock(mutex);
      stopping = true;
    }
    wake.notifyAll();
    for (std::unique_ptr<Worker>& worker : workers) worker.reset();
    threads = 1;
    stopping = false;
  }

  void stopBackgroundThread() {
    {
      const Lock lock(jobsMutex);
      jobsStopping = true;
    }
    jobsChanged.notifyAll();
    backgroundThread.reset();
    jobsStopping = false;
  }
};

ThreadPool::ThreadPool() : implementation_(std::make_unique<Implementation>()) {}

ThreadPool::~ThreadPool() {
  implementation_->stopBackgroundThread();
  implementation_->stopWorkers();
}

int ThreadPool::threads() const { return implementation_->threads; }

void ThreadPool::setThreads(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    failArgument({"threads is ", threads, "; expected 1 to ", kMaxThreads});
  }
  Implementation& pool = *implementation_;
  if (threads != pool.threads) {
    pool.stopWorkers();
    for (; pool.threads < threads; ++pool.threads) {
      pool.workers[static_cast<std::size_t>(pool.threads)] =
          std::make_unique<Implementation::Worker>(pool, pool.threads);
    }
  }
  if (!pool.backgroundThread) pool.backgroundThread.emplace(&Implementation::runJobs, &pool);
}

bool ThreadPool::tryAcquire() { return implementation_->acquired.tryLock(); }
void ThreadPool::release() { implementation_->acquired.unlock(); }

void ThreadPool::run(Stages& work, Index firstStage, Index firstTask, int callerSlot) {
  Round round(work, firstStage, firstTask);
  bool isParallel = false;
  for (Index stage = firstStage; stage < work.stages(); ++stage) {
    isParallel = isParallel || work.tasks(stage) > 1;
  }
  if (isParallel && implementation_->threads > 1) {
    implementation_->share(round, callerSlot);
  } else {
    round.join(callerSlot);
  }
  round.rethrowFailure();
}

void ThreadPool::runInBackground(std::function<void()> job) {
  Implementation& pool = *implementation_;
  {
    const Lock lock(pool.jobsMutex);
    pool.jobs.push_back(std::move(job));
  }
  pool.jobsChanged.notifyOne();
}

bool ThreadPool::canRunInBackground() const { return implementation_->backgroundThread.has_value(); }

#else  // without threads, the caller runs everything

struct ThreadPool::Implementation {};

ThreadPool::ThreadPool() = default;
ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return 1; }

void ThreadPool::setThreads(int threads) {
  if (threads != 1) {
    failArgument({"threads is ", threads, "; expected 1 because shared memory is not available"});
  }
}

bool ThreadPool::tryAcquire() { return true; }
void ThreadPool::release() {}

void ThreadPool::run(Stages& work, Index firstStage, Index firstTask, int callerSlot) {
  for (Index stage = firstStage; stage < work.stages(); ++stage) {
    const Index first = stage == firstStage ? firstTask : 0;
    for (Index task = first; task < work.tasks(stage); ++task) work.run(stage, task, callerSlot);
  }
}

void ThreadPool::runInBackground(std::function<void()> job) { job(); }
bool ThreadPool::canRunInBackground() const { return false; }

#endif

}  // namespace cross_attention
