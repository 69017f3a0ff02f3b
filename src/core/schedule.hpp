#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/scratch.hpp"
#include "core/thread_pool.hpp"

namespace cross_attention {

/// Work in stages: the tasks of one stage are independent of each other, each stage needs the ones before it. The same
/// schedule runs on all threads at once (run), or on one thread a slice at a time (advance). What a task computes must
/// not depend on which thread runs it: so results are the same bits for any number of threads.
class Schedule {
 public:
  using Task = std::function<void(Index task, Scratch& scratch)>;

  explicit Schedule(std::shared_ptr<Workspace> workspace) : workspace_(std::move(workspace)) {}

  /// `scratchBytes`: what a task takes from its thread's scratch.
  void add(Index tasks, Index scratchBytes, Task task) {
    stages_.push_back({tasks, scratchBytes, std::move(task)});
  }

  /// All that is left, on the pool's threads, the calling one in `slot` among them.
  void run(int slot = 0);
  /// Tasks one after another on the calling thread until `milliseconds` have passed. `true`: all is done.
  bool advance(double milliseconds);

 private:
  struct Stage {
    Index tasks;
    Index scratchBytes;
    Task task;
  };

  Index mostScratchBytes() const;

  std::shared_ptr<Workspace> workspace_;
  std::vector<Stage> stages_;
  std::size_t stage_ = 0;
  Index nextTask_ = 0;
};

}  // namespace cross_attention
