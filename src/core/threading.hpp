#pragma once

#if CROSS_ATTENTION_THREADS
#include <pthread.h>

#include <mutex>
#endif

#include "core/error.hpp"

/// Threads and what they wait for, on POSIX threads, which every platform of ours has. The standard library's bring
/// std::future and the texts of the system's errors with them: 15 KB of the WebAssembly download.
namespace cross_attention {

#if CROSS_ATTENTION_THREADS

/// A thread that calls run(argument), joined at its end.
class Thread {
 public:
  /// Throws kOutOfMemory where the system gives no thread.
  Thread(void* (*run)(void* argument), void* argument) {
    if (pthread_create(&thread_, nullptr, run, argument) != 0) {
      failOutOfMemory({"out of memory: the system gives no more threads"});
    }
  }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { pthread_join(thread_, nullptr); }

 private:
  pthread_t thread_{};
};

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  ~Mutex() { pthread_mutex_destroy(&mutex_); }
  void lock() { pthread_mutex_lock(&mutex_); }
  bool tryLock() { return pthread_mutex_trylock(&mutex_) == 0; }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  friend class Condition;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

using Lock = std::lock_guard<Mutex>;

class Condition {
 public:
  Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;
  ~Condition() { pthread_cond_destroy(&condition_); }
  void notifyOne() { pthread_cond_signal(&condition_); }
  void notifyAll() { pthread_cond_broadcast(&condition_); }
  /// Returns once `ready`() is true; the caller holds `mutex`.
  template <class Ready>
  void wait(Mutex& mutex, Ready ready) {
    while (!ready()) pthread_cond_wait(&condition_, &mutex.mutex_);
  }

 private:
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
};

/// Something that happens once on another thread.
class Event {
 public:
  void set() {
    const Lock lock(mutex_);
    happened_ = true;
    condition_.notifyAll();
  }
  void wait() {
    const Lock lock(mutex_);
    condition_.wait(mutex_, [this] { return happened_; });
  }

 private:
  Mutex mutex_;
  Condition condition_;
  bool happened_ = false;
};

#else

/// Without threads whatever is waited for has happened.
class Event {
 public:
  void set() {}
  void wait() {}
};

#endif

}  // namespace cross_attention
