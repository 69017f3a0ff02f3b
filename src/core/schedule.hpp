#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/scratch.hpp"
#include "core/thread_pool.hpp"

namespace cross_attention {

/// Work in stages: the tasks of one stage are independent of each other, each stage needs the ones before it. The same
/// schedule runs on all threads at once (run), or on one thread a slice at a time (advance). What a task computes must
/// not depend on which thread runs it: so results are the same bits for any number of threads.
class Schedule {
 public:
  explicit Schedule(std::shared_ptr<Workspace> workspace) : workspace_(std::move(workspace)) {}

  /// A stage of `tasks` calls of work(task, scratch). `scratchBytes`: what a task takes from its thread's scratch.
  template <class Work>
  void add(Index tasks, Amount scratchBytes, Work work) {
    addStage({tasks, scratchBytes, std::make_unique<WorkOf<Work>>(std::move(work))});
  }

  /// All that is left, on the pool's threads, the calling one in `slot` among them.
  void run(int slot = 0);
  /// Tasks one after another on the calling thread until `milliseconds` have passed. `true`: all is done.
  bool advance(double milliseconds);

 private:
  class Run;
  /// Not std::function: one virtual call a task, and a third of its code for every kind of work.
  struct AnyWork {
    virtual ~AnyWork() = default;
    virtual void run(Index task, Scratch& scratch) = 0;
  };
  template <class Work>
  struct WorkOf final : AnyWork {
    explicit WorkOf(Work given) : work(std::move(given)) {}
    void run(Index task, Scratch& scratch) override { work(task, scratch); }
    Work work;
  };
  struct Stage {
    Index tasks;
    Amount scratchBytes;
    std::unique_ptr<AnyWork> work;
  };

  void addStage(Stage stage);
  Amount mostScratchBytes() const;

  std::shared_ptr<Workspace> workspace_;
  std::vector<Stage> stages_;
  std::size_t stage_ = 0;
  Index nextTask_ = 0;
};

}  // namespace cross_attention
