#include <emscripten/bind.h>

#include <new>
#include <stdexcept>

#include "core/error.hpp"
#include "embind/push.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::val;

const char* codeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kShape:
      return "ERR_SHAPE";
    case ErrorCode::kArgument:
      return "ERR_ARGUMENT";
    case ErrorCode::kWeights:
      return "ERR_WEIGHTS";
    case ErrorCode::kOutOfMemory:
      return "ERR_OUT_OF_MEMORY";
  }
  return "ERR_ARGUMENT";
}

/// Returns [code, message] of a failed call. Only C++ can inspect its exceptions, so `rethrow` throws it
/// again. Exceptions from elsewhere, such as errors that JavaScript threw, pass through. Allocates nothing,
/// because there may be no memory at all: Embind does not check the memory of a std::string that it returns.
val errorOf(const val& rethrow) {
  const val result = val::array();
  const auto fill = [&](ErrorCode code, const char* message) {
    push(result, val::u8string(codeName(code)));
    push(result, val::u8string(message));
  };
  try {
    rethrow();
  } catch (const Error& error) {
    fill(error.code(), error.message().c_str());
  } catch (const std::bad_alloc&) {
    fill(ErrorCode::kOutOfMemory, "out of memory");
  } catch (const std::length_error&) {
    fill(ErrorCode::kOutOfMemory, "out of memory: the size cannot be addressed");
  }
  return result;
}

}  // namespace

EMSCRIPTEN_BINDINGS(errors) { emscripten::function("errorOf", &errorOf); }

}  // namespace cross_attention::embind
