#pragma once

#if CROSS_ATTENTION_THREADS
#include <pthread.h>

#include <mutex>
#endif

#include "core/error.hpp"

/// Thin wrappers of POSIX threads, which all supported platforms have. The standard library's classes also
/// link std::future and the system's error messages: 15 KB of the WebAssembly download.
namespace cross_attention {

#if CROSS_ATTENTION_THREADS

/// A thread that calls run(argument). The destructor joins it.
class Thread {
 public:
  /// Throws kOutOfMemory if the system cannot start a thread.
  Thread(void* (*run)(void* argument), void* argument) {
    if (pthread_create(&thread_, nullptr, run, argument) != 0) {
      failOutOfMemory({"out of memory: cannot start another thread"});
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
  /// Returns when ready() is true. The caller must hold `mutex`.
  template <class Ready>
  void wait(Mutex& mutex, Ready ready) {
    while (!ready()) pthread_cond_wait(&condition_, &mutex.mutex_);
  }

 private:
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
};

/// A one-time event that another thread signals.
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

/// Without threads, every event has already happened.
class Event {
 public:
  void set() {}
  void wait() {}
};

#endif

}  // namespace cross_attention
