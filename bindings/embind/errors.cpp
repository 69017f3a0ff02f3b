#include "embind/errors.hpp"

#include <emscripten/val.h>

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

/// The Error that the exception being handled stands for.
Error currentError() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return {ErrorCode::kOutOfMemory, "out of memory"};
  } catch (const std::length_error&) {
    return {ErrorCode::kOutOfMemory, "out of memory: more than can be addressed"};
  }
}

}  // namespace

void raiseCurrent() {
  const Error error = currentError();
  emscripten::val::module_property("raise")(std::string(codeName(error.code())), error.message());
  __builtin_unreachable();
}

}  // namespace cross_attention::embind
