#pragma once

#include <emscripten/bind.h>

#include <functional>
#include <memory>

#if CROSS_ATTENTION_THREADS
#include <emscripten/proxying.h>
#include <emscripten/threading.h>
#endif

// Something under way whose end JavaScript awaits: PendingForward, PendingRun.

namespace cross_attention::embind {

#if CROSS_ATTENTION_THREADS

/// What waits for the end of work on another thread. Made and destroyed on JavaScript's own thread.
struct Waiting {
  std::shared_ptr<void> pending;
  emscripten::val done;

  static void notify(void* waiting) {
    const std::unique_ptr<Waiting> self(static_cast<Waiting*>(waiting));
    self->done();
  }
};

/// Works on another thread and calls `done` on this one afterwards, from its event loop. False: there is no other
/// thread.
template <class Pending>
bool runBehind(const std::shared_ptr<Pending>& pending, emscripten::val done) {
  auto waiting = std::make_unique<Waiting>(pending, std::move(done));
  const bool started = pending->runBehind([waiting = waiting.get()] {
    emscripten_proxy_async(emscripten_proxy_get_system_queue(), emscripten_main_runtime_thread_id(),
                           &Waiting::notify, waiting);
  });
  if (started) static_cast<void>(waiting.release());
  return started;
}

#else

template <class Pending>
bool runBehind(const std::shared_ptr<Pending>&, const emscripten::val&) {
  return false;
}

#endif

template <class Pending>
bool advance(Pending& pending, double milliseconds) {
  return pending.advance(milliseconds);
}

/// How its result is had is the caller's to bind.
template <class Pending>
emscripten::class_<Pending> bindPending(const char* name, const char* pointerName) {
  return emscripten::class_<Pending>(name)
      .template smart_ptr<std::shared_ptr<Pending>>(pointerName)
      .function("runBehind", &runBehind<Pending>)
      .function("advance", &advance<Pending>);
}

}  // namespace cross_attention::embind
