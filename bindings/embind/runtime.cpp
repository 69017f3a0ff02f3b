#include <emscripten/bind.h>
#include <emscripten/eventloop.h>

#include "core/buffer.hpp"
#include "core/thread_pool.hpp"

namespace cross_attention::embind {

namespace {

void setThreads(int threads) {
  // There is no main() that keeps the runtime alive. Without this, Emscripten regards the first callback from
  // another thread as the program's end and stops all threads.
  emscripten_runtime_keepalive_push();
  ThreadPool::shared().setThreads(threads);
}

int threads() { return ThreadPool::shared().threads(); }

double memoryInUse() { return static_cast<double>(memory::bytesInUse()); }

}  // namespace

EMSCRIPTEN_BINDINGS(runtime) {
  emscripten::function("setThreads", &setThreads);
  emscripten::function("threads", &threads);
  emscripten::function("memoryInUse", &memoryInUse);
}

}  // namespace cross_attention::embind
