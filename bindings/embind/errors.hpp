#pragma once

#include <utility>

namespace cross_attention::embind {

/// Throws the package's error for the exception that is being handled: the package has put the function `raise` on the
/// module. It passes through the frames of WebAssembly as any exception does, so that destructors run. Rethrows what is
/// none of ours: an error that JavaScript threw.
[[noreturn]] void raiseCurrent();

/// Runs `work` and turns what the core throws into the package's errors: nothing else leaves the module.
template <class Work>
auto guarded(Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (...) {
    raiseCurrent();
  }
}

}  // namespace cross_attention::embind
