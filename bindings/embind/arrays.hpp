#pragma once

#include <emscripten/val.h>

#include <cstdint>
#include <span>
#include <vector>

#include "core/shape.hpp"

namespace cross_attention::embind {

/// Converts a JavaScript array of numbers to dimensions. The package has checked that they are safe integers.
inline std::vector<std::int64_t> toDimensions(const emscripten::val& array) {
  std::vector<std::int64_t> dimensions;
  for (const double dimension : emscripten::convertJSArrayToNumberVector<double>(array)) {
    dimensions.push_back(static_cast<std::int64_t>(dimension));
  }
  return dimensions;
}

inline emscripten::val toArray(const Shape& shape) {
  return emscripten::val::array(shape.begin(), shape.end());
}

/// Returns a typed array that views WebAssembly memory.
template <class T>
emscripten::val toView(std::span<const T> values) {
  return emscripten::val(emscripten::typed_memory_view(values.size(), values.data()));
}

}  // namespace cross_attention::embind
