#pragma once

#include <cstdio>

namespace cross_attention::test {

/// True in a build with sanitizers. It is ten times slower, so tests use smaller sizes or fewer cases.
#if CROSS_ATTENTION_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/// Returns `underSanitizers` in a build with sanitizers, `full` otherwise.
template <class Value>
constexpr Value reduced(Value full, Value underSanitizers) {
  return kSanitized ? underSanitizers : full;
}

/// Prints what a build with sanitizers skips.
inline void reportSkipped(const char* what) {
  std::printf("skipped under sanitizers to save time: %s\n", what);
}

}  // namespace cross_attention::test
