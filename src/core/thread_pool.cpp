#include "core/thread_pool.hpp"

#include <atomic>
#include <string>

#include "core/error.hpp"

#if CROSS_ATTENTION_THREADS
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
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
    std::mutex failureMutex;
    std::exception_ptr failure;

    void work(int slot) {
      for (;;) {
        const Index index = next.fetch_add(1, std::memory_order_relaxed);
        if (index >= count) return;
        try {
          (*task)(index, slot);
        } catch (...) {
          const std::lock_guard lock(failureMutex);
          if (!failure) failure = std::current_exception();
          next.store(count, std::memory_order_relaxed);
        }
      }
    }
  };

  std::mutex acquired;

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable left;
  Round* round = nullptr;         // guarded by mutex
  unsigned long long rounds = 0;  // guarded by mutex
  bool stopping = false;          // guarded by mutex
  std::vector<std::thread> workers;

  std::mutex behindMutex;
  std::condition_variable behindWake;
  std::deque<std::function<void()>> behindJobs;  // guarded by behindMutex
  bool behindStopping = false;                   // guarded by behindMutex
  std::thread behind;

  void runWorker(int slot, unsigned long long seen) {
    for (;;) {
      Round* current = nullptr;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stopping || (round != nullptr && rounds != seen); });
        if (stopping) return;
        seen = rounds;
        current = round;
        current->inside.fetch_add(1, std::memory_order_relaxed);
      }
      current->work(slot);
      // The caller may destroy the round as soon as it sees that nobody is inside: under the lock, so that it
      // can't leave between the count and the notification.
      const std::lock_guard lock(mutex);
      if (current->inside.fetch_sub(1, std::memory_order_release) == 1) left.notify_one();
    }
  }

  void runBehindJobs() {
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock lock(behindMutex);
        behindWake.wait(lock, [&] { return behindStopping || !behindJobs.empty(); });
        if (behindJobs.empty()) return;
        job = std::move(behindJobs.front());
        behindJobs.pop_front();
      }
      job();
    }
  }

  void stopWorkers() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
    stopping = false;
  }

  void stopBehind() {
    {
      const std::lock_guard lock(behindMutex);
      behindStopping = true;
    }
    behindWake.notify_all();
    if (behind.joinable()) behind.join();
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
    failArgument("threads is " + std::to_string(threads) + "; it takes 1 to " +
                 std::to_string(kMaxThreads));
  }
  Implementation& pool = *implementation_;
  if (threads != this->threads()) {
    pool.stopWorkers();
    for (int slot = 1; slot < threads; ++slot) {
      pool.workers.emplace_back([&pool, slot, seen = pool.rounds] { pool.runWorker(slot, seen); });
    }
  }
  if (!pool.behind.joinable()) pool.behind = std::thread([&pool] { pool.runBehindJobs(); });
}

bool ThreadPool::tryAcquire() { return implementation_->acquired.try_lock(); }
void ThreadPool::release() { implementation_->acquired.unlock(); }

void ThreadPool::parallelFor(Index count, int callerSlot, const Task& task) {
  Implementation& pool = *implementation_;
  Implementation::Round round;
  round.task = &task;
  round.count = count;
  const bool shared = count > 1 && !pool.workers.empty();
  if (shared) {
    {
      const std::lock_guard lock(pool.mutex);
      pool.round = &round;
      ++pool.rounds;
    }
    pool.wake.notify_all();
  }
  round.work(callerSlot);
  if (shared) {
    {
      // Whoever has not come by now need not come any more.
      const std::lock_guard lock(pool.mutex);
      pool.round = nullptr;
    }
    for (int spin = 0; spin < kSpins && round.inside.load(std::memory_order_acquire) > 0; ++spin) {
    }
    std::unique_lock lock(pool.mutex);
    pool.left.wait(lock, [&] { return round.inside.load(std::memory_order_acquire) == 0; });
  }
  if (round.failure) std::rethrow_exception(round.failure);
}

void ThreadPool::runBehind(std::function<void()> job) {
  Implementation& pool = *implementation_;
  {
    const std::lock_guard lock(pool.behindMutex);
    pool.behindJobs.push_back(std::move(job));
  }
  pool.behindWake.notify_one();
}

bool ThreadPool::canRunBehind() const { return implementation_->behind.joinable(); }

#else  // no threads: the caller does everything

struct ThreadPool::Implementation {};

ThreadPool::ThreadPool() = default;
ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return 1; }

void ThreadPool::setThreads(int threads) {
  if (threads != 1) {
    failArgument("threads is " + std::to_string(threads) + "; without shared memory it takes 1");
  }
}

bool ThreadPool::tryAcquire() { return true; }
void ThreadPool::release() {}

void ThreadPool::parallelFor(Index count, int callerSlot, const Task& task) {
  for (Index index = 0; index < count; ++index) task(index, callerSlot);
}

void ThreadPool::runBehind(std::function<void()> job) { job(); }
bool ThreadPool::canRunBehind() const { return false; }

#endif

}  // namespace cross_attention
