#pragma once

#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/error.hpp"

namespace cross_attention::embind {

/// Throws the JavaScript error of this code: the package has put the function `raise` on the module. The error
/// passes through the frames of WebAssembly as any exception does, so that destructors run.
[[noreturn]] void raise(ErrorCode code, const std::string& message);

/// Runs `work` and turns what the core throws into the package's errors: nothing else leaves the module.
template <class Work>
auto guarded(Work&& work) {
  std::optional<Error> failure;
  try {
    return std::forward<Work>(work)();
  } catch (const Error& error) {
    failure = error;
  } catch (const std::bad_alloc&) {
    failure.emplace(ErrorCode::kOutOfMemory, "out of memory");
  } catch (const std::length_error&) {
    failure.emplace(ErrorCode::kOutOfMemory, "out of memory: more than can be addressed");
  }
  raise(failure->code(), failure->message());
}

}  // namespace cross_attention::embind
