#include "core/thread_pool.hpp"

#include <atomic>

#include "core/error.hpp"
#include "core/text.hpp"
#include "core/threading.hpp"

#if CROSS_ATTENTION_THREADS
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

/// How often a thread looks again before it sleeps: some tens of microseconds.
constexpr int kSpins = 2000;

}  // namespace

struct ThreadPool::Implementation {
  /// One parallelFor: threads draw task numbers until there are none.
  struct Round {
    const Task* task = nullptr;
    Index count = 0;
    std::atomic<Index> next{0};
    std::atomic<int> inside{0};
    Mutex failureMutex;
    std::exception_ptr failure;

    void work(int slot) {
      for (;;) {
        const Index index = next.fetch_add(1, std::memory_order_relaxed);
        if (index >= count) return;
        try {
          (*task)(index, slot);
        } catch (...) {
          const Lock lock(failureMutex);
          if (!failure) failure = std::current_exception();
          next.store(count, std::memory_order_relaxed);
        }
      }
    }
  };

  Mutex acquired;

  Mutex mutex;
  Condition wake;
  Condition left;
  Round* round = nullptr;         // guarded by mutex
  unsigned long long rounds = 0;  // guarded by mutex
  bool stopping = false;          // guarded by mutex
  std::vector<Thread> workers;

  Mutex behindMutex;
  Condition behindWake;
  std::vector<std::function<void()>> behindJobs;  // guarded by behindMutex
  bool behindStopping = false;                    // guarded by behindMutex
  std::optional<Thread> behind;

  void runWorker(int slot, unsigned long long seen) {
    for (;;) {
      Round* current = nullptr;
      {
        const Lock lock(mutex);
        wake.wait(mutex, [&] { return stopping || (round != nullptr && rounds != seen); });
        if (stopping) return;
        seen = rounds;
        current = round;
        current->inside.fetch_add(1, std::memory_order_relaxed);
      }
      current->work(slot);
      // The caller may destroy the round as soon as it sees that nobody is inside: under the lock, so that it
      // can't leave between the count and the notification.
      const Lock lock(mutex);
      if (current->inside.fetch_sub(1, std::memory_order_release) == 1) left.notifyOne();
    }
  }

  void runBehindJobs() {
    for (;;) {
      std::function<void()> job;
      {
        const Lock lock(behindMutex);
        behindWake.wait(behindMutex, [&] { return behindStopping || !behindJobs.empty(); });
        if (behindJobs.empty()) return;
        job = std::move(behindJobs.front());
        behindJobs.erase(behindJobs.begin());
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
    workers.clear();
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

int ThreadPool::threads() const { return static_cast<int>(implementation_->workers.size()) + 1; }

void ThreadPool::setThreads(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    failArgument(text({"threads is ", threads, "; it takes 1 to ", kMaxThreads}));
  }
  Implementation& pool = *implementation_;
  if (threads != this->threads()) {
    pool.stopWorkers();
    for (int slot = 1; slot < threads; ++slot) {
      pool.workers.emplace_back([&pool, slot, seen = pool.rounds] { pool.runWorker(slot, seen); });
    }
  }
  if (!pool.behind) pool.behind.emplace([&pool] { pool.runBehindJobs(); });
}

bool ThreadPool::tryAcquire() { return implementation_->acquired.tryLock(); }
void ThreadPool::release() { implementation_->acquired.unlock(); }

void ThreadPool::parallelFor(Index count, int callerSlot, Task task) {
  Implementation& pool = *implementation_;
  Implementation::Round round;
  round.task = &task;
  round.count = count;
  const bool shared = count > 1 && !pool.workers.empty();
  if (shared) {
    {
      const Lock lock(pool.mutex);
      pool.round = &round;
      ++pool.rounds;
    }
    pool.wake.notifyAll();
  }
  round.work(callerSlot);
  if (shared) {
    {
      // Whoever has not come by now need not come any more.
      const Lock lock(pool.mutex);
      pool.round = nullptr;
    }
    for (int spin = 0; spin < kSpins && round.inside.load(std::memory_order_acquire) > 0; ++spin) {
    }
    const Lock lock(pool.mutex);
    pool.left.wait(pool.mutex, [&] { return round.inside.load(std::memory_order_acquire) == 0; });
  }
  if (round.failure) std::rethrow_exception(round.failure);
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
    failArgument(text({"threads is ", threads, "; without shared memory it takes 1"}));
  }
}

bool ThreadPool::tryAcquire() { return true; }
void ThreadPool::release() {}

void ThreadPool::parallelFor(Index count, int callerSlot, Task task) {
  for (Index index = 0; index < count; ++index) task(index, callerSlot);
}

void ThreadPool::runBehind(std::function<void()> job) { job(); }
bool ThreadPool::canRunBehind() const { return false; }

#endif

}  // namespace cross_attention
