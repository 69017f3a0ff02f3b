#pragma once

#include <emscripten/val.h>

#include <string>

namespace cross_attention::embind {

// Append elements to JavaScript arrays. All numbers are doubles, as in JavaScript, because each further type
// adds code.

inline void push(const emscripten::val& array, const emscripten::val& element) {
  array.call<void>("push", element);
}

inline void push(const emscripten::val& array, double number) { push(array, emscripten::val(number)); }

inline void push(const emscripten::val& array, const std::string& text) {
  push(array, emscripten::val(text));
}

}  // namespace cross_attention::embind
