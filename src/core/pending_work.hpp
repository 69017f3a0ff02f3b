#pragma once

#include <exception>
#include <functional>
#include <memory>

#include "core/threading.hpp"

namespace cross_attention {

/// Work in progress that must finish before the data that it reads may change.
class Finishable {
 public:
  virtual ~Finishable() = default;
  /// Runs or awaits the remaining work. Further calls do nothing.
  virtual void finish() = 0;
};

/// Work that does not block its caller. It runs on the background thread, or in time slices on the caller's
/// thread.
class PendingWork {
 public:
  /// The work itself; see Schedule::run and Schedule::advance.
  class Work {
   public:
    virtual ~Work() = default;
    virtual void run(int slot) = 0;
    virtual bool advance(double milliseconds) = 0;
  };

  explicit PendingWork(std::unique_ptr<Work> work);
  /// Waits for the background thread if it is running this work.
  ~PendingWork();
  PendingWork(const PendingWork&) = delete;
  PendingWork& operator=(const PendingWork&) = delete;

  /// Starts the work on the background thread, which calls `done` at the end. The caller must keep this
  /// object alive until then. Returns false and does nothing if there are no threads; use advance instead.
  bool runInBackground(std::function<void()> done);
  /// Works on the calling thread for about `milliseconds`. Returns true if all work is done.
  bool advance(double milliseconds);
  /// Runs or awaits the remaining work. Further calls do nothing.
  void finish();
  bool isFinished() const { return finished_; }

  /// The exception that the work threw, or null. Valid after finish.
  const std::exception_ptr& failure() const { return state_->failure; }
  double milliseconds() const { return state_->milliseconds; }

 private:
  /// Shared with the job on the background thread, which may outlive this object for a moment. The destructor
  /// therefore releases the work, and its memory, explicitly.
  struct State {
    std::unique_ptr<Work> work;
    /// Set by the background thread when it no longer uses the work.
    Event ranInBackground;
    double milliseconds = 0;
    std::exception_ptr failure;

    /// Calls `part` with the work; stores its exception and adds to the elapsed time.
    template <class Part>
    void attempt(Part part);
  };

  std::shared_ptr<State> state_;
  bool startedInBackground_ = false;
  bool finished_ = false;
};

}  // namespace cross_attention
