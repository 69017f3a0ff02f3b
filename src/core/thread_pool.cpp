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

/// How often a thread looks again before it sleeps: some tens of microseconds, which is what waking it would take.
constexpr int kSpins = 20000;

/// Waits for `ready()`, first looking, then asleep. `ready` may be asked with and without the lock.
template <class Ready>
void lookThenSleep(Mutex& mutex, Condition& condition, std::atomic<int>& sleepers, Ready ready) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (ready()) return;
  }
  const Lock lock(mutex);
  ++sleepers;
  condition.wait(mutex, ready);
  --sleepers;
}

/// Wakes those who wait for what the caller has just stored. Either it sees them, or they see what it stored.
void wakeSleepers(Mutex& mutex, Condition& condition, const std::atomic<int>& sleepers) {
  if (sleepers == 0) return;
  const Lock lock(mutex);
  condition.notifyAll();
}

/// One call of run: threads draw tasks until there are none.
class Round {
 public:
  Round(ThreadPool::Stages& work, Index firstStage, Index firstTask) : work_(work) {
    begin(firstStage, firstTask);
  }

  /// What each thread does, until all tasks are done or one has failed.
  void join(int slot) {
    for (;;) {
      const Cursor drawn = cursor_.fetch_add(1);
      const Index stage = stageOf(drawn);
      if (stage == work_.stages()) return;
      if (taskOf(drawn) < work_.tasks(stage)) {
        run(stage, taskOf(drawn), slot);
      } else {
        lookThenSleep(mutex_, stageEnded_, sleepers_, [&] { return stageOf(cursor_) != stage; });
      }
    }
  }

  void rethrowFailure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  /// The stage and the next of its tasks in one number, so that both are drawn at once.
  using Cursor = std::uint64_t;
  static Index stageOf(Cursor cursor) { return static_cast<Index>(cursor >> 32); }
  static Index taskOf(Cursor cursor) { return static_cast<Index>(cursor & 0xFFFFFFFF); }

  /// For the one thread that knows that no task runs.
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
      // This task never counts as done: nobody else moves on from this stage.
      return moveTo(work_.stages(), 0);
    }
    if (done_.fetch_add(1) + 1 == work_.tasks(stage)) begin(stage + 1, 0);
  }

  ThreadPool::Stages& work_;
  std::atomic<Cursor> cursor_{0};
  std::atomic<Index> done_{0};  ///< tasks of the stage at work
  Mutex mutex_;
  Condition stageEnded_;
  std::atomic<int> sleepers_{0};
  std::exception_ptr failure_;  // guarded by mutex_
};

}  // namespace

struct ThreadPool::Implementation {
  /// One thread of the pool, from its start to its end.
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
    unsigned long long seen;  ///< rounds before it came
    Thread thread;            ///< the last: it uses the others
  };

  Mutex acquired;

  Mutex mutex;
  Condition wake;
  std::atomic<int> sleepers{0};
  Round* round = nullptr;                     // guarded by mutex
  std::atomic<unsigned long long> rounds{0};  // written under mutex
  std::atomic<bool> stopping{false};          // written under mutex
  Condition left;
  std::atomic<int> inside{0};  // written under mutex
  std::atomic<int> leaving{0};
  /// By slot, of which the caller has the first.
  std::array<std::unique_ptr<Worker>, kMaxThreads> workers;
  int threads = 1;  ///< the caller counted

  Mutex behindMutex;
  Condition behindWake;
  std::vector<std::function<void()>> behindJobs;  // guarded by behindMutex
  bool behindStopping = false;                    // guarded by behindMutex
  std::optional<Thread> behind;

  void runWorker(int slot, unsigned long long seen) {
    for (;;) {
      lookThenSleep(mutex, wake, sleepers, [&] { return stopping || rounds != seen; });
      Round* current = nullptr;
      {
        const Lock lock(mutex);
        if (stopping) return;
        seen = rounds;
        current = round;
        if (current == nullptr) continue;  // It ended before this thread came.
        ++inside;
      }
      current->join(slot);
      // Under the lock: the caller may destroy the round as soon as it sees that nobody is inside.
      const Lock lock(mutex);
      if (--inside == 0) left.notifyOne();
    }
  }

  /// The calling thread's part and, where workers come in time, theirs.
  void share(Round& shared, int callerSlot) {
    {
      const Lock lock(mutex);
      round = &shared;
      ++rounds;
    }
    wakeSleepers(mutex, wake, sleepers);
    shared.join(callerSlot);
    {
      // Whoever has not come by now need not come any more.
      const Lock lock(mutex);
      round = nullptr;
    }
    lookThenSleep(mutex, left, leaving, [&] { return inside == 0; });
  }

  static void* runBehindJobs(void* implementation) {
    Implementation& pool = *static_cast<Implementation*>(implementation);
    for (;;) {
      std::function<void()> job;
      {
        const Lock lock(pool.behindMutex);
        pool.behindWake.wait(pool.behindMutex,
                             [&] { return pool.behindStopping || !pool.behindJobs.empty(); });
        if (pool.behindJobs.empty()) return nullptr;
        job = std::move(pool.behindJobs.front());
        pool.behindJobs.erase(pool.behindJobs.begin());
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

  void stopBehind() {
    {
      const Lock lock(behindMutex);
      behindStopping = true;
    }
    behindWake.notifyAll();
    behind.reset();
    behindStopping = false;
  }
};

ThreadPool::ThreadPool() : implementation_(std::make_unique<Implementation>()) {}

ThreadPool::~ThreadPool() {
  implementation_->stopBehind();
  implementation_->stopWorkers();
}

int ThreadPool::threads() const { return implementation_->threads; }

void ThreadPool::setThreads(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    failArgument({"threads is ", threads, "; it takes 1 to ", kMaxThreads});
  }
  Implementation& pool = *implementation_;
  if (threads != pool.threads) {
    pool.stopWorkers();
    for (; pool.threads < threads; ++pool.threads) {
      pool.workers[static_cast<std::size_t>(pool.threads)] =
          std::make_unique<Implementation::Worker>(pool, pool.threads);
    }
  }
  if (!pool.behind) pool.behind.emplace(&Implementation::runBehindJobs, &pool);
}

bool ThreadPool::tryAcquire() { return implementation_->acquired.tryLock(); }
void ThreadPool::release() { implementation_->acquired.unlock(); }

void ThreadPool::run(Stages& work, Index firstStage, Index firstTask, int callerSlot) {
  Round round(work, firstStage, firstTask);
  bool isShared = false;
  for (Index stage = firstStage; stage < work.stages(); ++stage) {
    isShared = isShared || work.tasks(stage) > 1;
  }
  if (isShared && implementation_->threads > 1) {
    implementation_->share(round, callerSlot);
  } else {
    round.join(callerSlot);
  }
  round.rethrowFailure();
}

void ThreadPool::runBehind(std::function<void()> job) {
  Implementation& pool = *implementation_;
  {
    const Lock lock(pool.behindMutex);
    pool.behindJobs.push_back(std::move(job));
  }
  pool.behindWake.notifyOne();
}

bool ThreadPool::canRunBehind() const { return implementation_->behind.has_value(); }

#else  // no threads: the caller does everything

struct ThreadPool::Implementation {};

ThreadPool::ThreadPool() = default;
ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return 1; }

void ThreadPool::setThreads(int threads) {
  if (threads != 1) {
    failArgument({"threads is ", threads, "; without shared memory it takes 1"});
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

void ThreadPool::runBehind(std::function<void()> job) { job(); }
bool ThreadPool::canRunBehind() const { return false; }

#endif

}  // namespace cross_attention
