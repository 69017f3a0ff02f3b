#pragma once

#include "core/thread_pool.hpp"

namespace cross_attention::test {

/// Sets the number of threads while in scope, and back to one at the end.
class ThreadsInScope {
 public:
  explicit ThreadsInScope(int threads) { ThreadPool::shared().setThreads(threads); }
  ~ThreadsInScope() { ThreadPool::shared().setThreads(1); }
  ThreadsInScope(const ThreadsInScope&) = delete;
  ThreadsInScope& operator=(const ThreadsInScope&) = delete;
};

}  // namespace cross_attention::test
