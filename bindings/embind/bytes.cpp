#include "embind/bytes.hpp"

#include <emscripten/bind.h>

#include <span>

#include "embind/arrays.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::allow_raw_pointers;
using emscripten::val;

// The caller owns returned pointers: JavaScript deletes them.

Bytes* allocateBytes(double size) { return new Bytes(static_cast<std::size_t>(size)); }

val viewOfBytes(const Bytes& bytes) {
  return toView(std::span(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

}  // namespace

EMSCRIPTEN_BINDINGS(bytes) {
  emscripten::class_<Bytes>("Bytes")
      .class_function("allocate", &allocateBytes, allow_raw_pointers())
      .function("view", &viewOfBytes);
}

}  // namespace cross_attention::embind
