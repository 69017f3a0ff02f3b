#include <emscripten/bind.h>

#include "core/buffer.hpp"
#include "core/thread_pool.hpp"
#include "embind/errors.hpp"

namespace cross_attention::embind {

namespace {

void setThreads(int threads) {
  guarded([&] { ThreadPool::shared().setThreads(threads); });
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
