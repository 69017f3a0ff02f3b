#pragma once

#include <emscripten/bind.h>

#include <functional>
#include <memory>

#if CROSS_ATTENTION_THREADS
#include <emscripten/proxying.h>
#include <emscripten/threading.h>
#endif

// Bindings of pending work that JavaScript awaits: PendingForward and PendingRun.

namespace cross_attention::embind {

#if CROSS_ATTENTION_THREADS

/// Waits for work on another thread. Created and destroyed on the main JavaScript thread.
struct Waiting {
  std::shared_ptr<void> pending;
  emscripten::val done;

  static void notify(void* waiting) {
    const std::unique_ptr<Waiting> self(static_cast<Waiting*>(waiting));
    self->done();
  }
};

/// Runs the work on the background thread, and then calls `done` on this thread, from its event loop. Returns
/// false if there is no background thread.
template <class Pending>
bool runInBackground(const std::shared_ptr<Pending>& pending, emscripten::val done) {
  auto waiting = std::make_unique<Waiting>(pending, std::move(done));
  const bool started = pending->runInBackground([waiting = waiting.get()] {
    emscripten_proxy_async(emscripten_proxy_get_system_queue(), emscripten_main_runtime_thread_id(),
                           &Waiting::notify, waiting);
  });
  if (started) static_cast<void>(waiting.release());
  return started;
}

#else

template <class Pending>
bool runInBackground(const std::shared_ptr<Pending>&, const emscripten::val&) {
  return false;
}

#endif

template <class Pending>
bool advance(Pending& pending, double milliseconds) {
  return pending.advance(milliseconds);
}

/// Binds a class of pending work. The caller binds the method that returns the result.
template <class Pending>
emscripten::class_<Pending> bindPending(const char* name, const char* pointerName) {
  return emscripten::class_<Pending>(name)
      .template smart_ptr<std::shared_ptr<Pending>>(pointerName)
      .function("runInBackground", &runInBackground<Pending>)
      .function("advance", &advance<Pending>);
}

}  // namespace cross_attention::embind
