#include <emscripten/bind.h>

#include "embind/errors.hpp"
#include "layer/diffusion_cross_attention.hpp"

#if CROSS_ATTENTION_THREADS
#include <emscripten/proxying.h>
#include <emscripten/threading.h>
#endif

namespace cross_attention::embind {

namespace {

using emscripten::val;
using layer::DiffusionCrossAttention;

template <class T>
using Pending = typename DiffusionCrossAttention<T>::PendingForward;

#if CROSS_ATTENTION_THREADS

/// What waits for the end of a forward on another thread. Made and destroyed on JavaScript's own thread.
template <class T>
struct Waiting {
  std::shared_ptr<Pending<T>> pending;
  val done;

  static void notify(void* waiting) {
    const std::unique_ptr<Waiting> self(static_cast<Waiting*>(waiting));
    self->done();
  }
};

/// Works on another thread and calls `done` on this one afterwards, from its event loop. False: there is no other
/// thread.
template <class T>
bool runBehind(const std::shared_ptr<Pending<T>>& pending, val done) {
  return guarded([&] {
    auto waiting = std::make_unique<Waiting<T>>(pending, std::move(done));
    const bool started = pending->runBehind([waiting = waiting.get()] {
      emscripten_proxy_async(emscripten_proxy_get_system_queue(),
                             emscripten_main_runtime_thread_id(), &Waiting<T>::notify, waiting);
    });
    if (started) static_cast<void>(waiting.release());
    return started;
  });
}

#else

template <class T>
bool runBehind(const std::shared_ptr<Pending<T>>&, const val&) {
  return false;
}

#endif

template <class T>
Tensor<T> result(Pending<T>& pending) {
  return guarded([&] { return pending.result(); });
}

template <class T>
bool advance(Pending<T>& pending, double milliseconds) {
  return guarded([&] { return pending.advance(milliseconds); });
}

template <class T>
void bindPendingForward(const char* name) {
  emscripten::class_<Pending<T>>(name)
      .template smart_ptr<std::shared_ptr<Pending<T>>>("PendingForward")
      .function("runBehind", &runBehind<T>)
      .function("advance", &advance<T>)
      .function("result", &result<T>);
}

}  // namespace

EMSCRIPTEN_BINDINGS(pending_forward) {
  bindPendingForward<float>("PendingForwardFloat32");
  bindPendingForward<double>("PendingForwardFloat64");
}

}  // namespace cross_attention::embind
