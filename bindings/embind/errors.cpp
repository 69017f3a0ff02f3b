#include "embind/errors.hpp"

#include <emscripten/val.h>

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

}  // namespace

void raise(ErrorCode code, const std::string& message) {
  emscripten::val::module_property("raise")(std::string(codeName(code)), message);
  __builtin_unreachable();
}

}  // namespace cross_attention::embind
