#pragma once

#include <cstdio>

namespace cross_attention::test {

/// Whether this is a build with sanitizers, ten times slower: tests take smaller sizes or fewer cases there.
#if CROSS_ATTENTION_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

template <class Value>
constexpr Value reduced(Value full, Value underSanitizers) {
  return kSanitized ? underSanitizers : full;
}

/// Says what a build with sanitizers does not run.
inline void reportSkipped(const char* what) {
  std::printf("left out under sanitizers, for time: %s\n", what);
}

}  // namespace cross_attention::test
