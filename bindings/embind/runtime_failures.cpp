// What the C++ runtime does where it fails. Its own versions format texts by printf and carry a table of the operating
// system's error messages: 11 KB of the download for what nobody reads.

#include <__config>
#include <new>

/// Called by std::thread, std::mutex and the like where a thread or lock cannot be had: too little memory or too many
/// threads, an OutOfMemoryError to the user.
_LIBCPP_BEGIN_NAMESPACE_STD
[[noreturn]] void __throw_system_error(int /*error*/, const char* /*what*/) {
  throw std::bad_alloc();
}
_LIBCPP_END_NAMESPACE_STD

/// The last words before the module ends, which nothing of ours leads to: exceptions leave it as they are, and the package makes errors of them (errors.cpp).
extern "C" [[noreturn]] void __abort_message(const char* /*format*/, ...) { __builtin_trap(); }

// What std::terminate calls. Those of the library look for a message and the exception's name to print.
extern "C" {
void (*__cxa_terminate_handler)() = [] { __builtin_trap(); };
void (*__cxa_unexpected_handler)() = [] { __builtin_trap(); };
std::new_handler __cxa_new_handler = nullptr;
}
