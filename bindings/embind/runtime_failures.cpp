// Failure handlers of the C++ runtime. The library's versions format messages by printf and include a table
// of the operating system's error messages, 11 KB of the download, which are never shown.

#include <__config>
#include <new>

/// Called by std::thread, std::mutex and others if the system lacks memory or threads. The user receives an
/// OutOfMemoryError.
_LIBCPP_BEGIN_NAMESPACE_STD
[[noreturn]] void __throw_system_error(int /*error*/, const char* /*what*/) { throw std::bad_alloc(); }
_LIBCPP_END_NAMESPACE_STD

/// Prints a message before the module aborts. Unreachable in this library: exceptions leave the module, and
/// the package converts them to errors (errors.cpp).
extern "C" [[noreturn]] void __abort_message(const char* /*format*/, ...) { __builtin_trap(); }

// Called by std::terminate. The library's versions look up a message and the exception's name to print.
extern "C" {
void (*__cxa_terminate_handler)() = [] { __builtin_trap(); };
void (*__cxa_unexpected_handler)() = [] { __builtin_trap(); };
std::new_handler __cxa_new_handler = nullptr;
}
