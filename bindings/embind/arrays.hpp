#pragma once

#include <emscripten/val.h>

#include <cstdint>
#include <vector>

#include "core/shape.hpp"

namespace cross_attention::embind {

/// A shape as JavaScript's array of numbers, which the package has seen to be safe integers.
inline std::vector<std::int64_t> toDimensions(const emscripten::val& array) {
  std::vector<std::int64_t> dimensions;
  for (const double dimension : emscripten::convertJSArrayToNumberVector<double>(array)) {
    dimensions.push_back(static_cast<std::int64_t>(dimension));
  }
  return dimensions;
}

inline emscripten::val toArray(const Shape& shape) {
  emscripten::val array = emscripten::val::array();
  for (const Index dimension : shape) {
    array.call<void>("push", static_cast<double>(dimension));
  }
  return array;
}

}  // namespace cross_attention::embind
