#pragma once

#include <exception>
#include <functional>
#include <memory>

#include "core/threading.hpp"

namespace cross_attention {

/// Something under way that must be over before what it reads may change.
class Finishable {
 public:
  virtual ~Finishable() = default;
  /// Does or awaits what is left. A second time does nothing.
  virtual void finish() = 0;
};

/// Work that its caller does not wait for: done on the thread behind, or a slice at a time on the caller's.
class PendingWork {
 public:
  /// What is to be done; see Schedule::run and advance.
  class Work {
   public:
    virtual ~Work() = default;
    virtual void run(int slot) = 0;
    virtual bool advance(double milliseconds) = 0;
  };

  explicit PendingWork(std::unique_ptr<Work> work);
  /// Waits for the thread behind if it is at it.
  ~PendingWork();
  PendingWork(const PendingWork&) = delete;
  PendingWork& operator=(const PendingWork&) = delete;

  /// Where there are threads: begins on the thread behind and calls `done` there at the end. The caller keeps this
  /// object alive until then. Returns false, having done nothing, where there are none: then advance.
  bool runBehind(std::function<void()> done);
  /// Works for about so long on the calling thread. `true`: all is done.
  bool advance(double milliseconds);
  /// Does or awaits what is left. A second time does nothing.
  void finish();
  bool isFinished() const { return finished_; }

  /// What the work threw, if it did; once finished.
  const std::exception_ptr& failure() const { return state_->failure; }
  double milliseconds() const { return state_->milliseconds; }

 private:
  /// Shared with the job on the thread behind, which may look at it a moment longer than we live: what takes memory is
  /// taken out of it before.
  struct State {
    std::unique_ptr<Work> work;
    /// Set on the thread behind once it is done with the work.
    Event ranBehind;
    double milliseconds = 0;
    std::exception_ptr failure;

    /// Calls `part` of the work: nothing that it throws is lost.
    template <class Part>
    void attempt(Part part);
  };

  std::shared_ptr<State> state_;
  bool startedBehind_ = false;
  bool finished_ = false;
};

}  // namespace cross_attention
