#include <emscripten/bind.h>

#include <new>
#include <stdexcept>

#include "core/error.hpp"

namespace cross_attention::embind {

namespace {

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

/// Returns the error of a failed call as "CODE message". Only C++ can inspect its exceptions, so `rethrow`
/// throws it again. Exceptions from elsewhere, such as errors that JavaScript threw, pass through.
std::string errorOf(const emscripten::val& rethrow) {
  const char* outOfMemory = "";
  try {
    rethrow();
  } catch (const Error& error) {
    return text({codeName(error.code()), " ", error.message()});
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
    outOfMemory = ": the size cannot be addressed";
  }
  return text({codeName(ErrorCode::kOutOfMemory), " out of memory", outOfMemory});
}

}  // namespace

EMSCRIPTEN_BINDINGS(errors) { emscripten::function("errorOf", &errorOf); }

}  // namespace cross_attention::embind
