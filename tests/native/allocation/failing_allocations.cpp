#include "allocation/failing_allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace cross_attention::test {

namespace {

/// The number of allocations before the one that fails. Negative: no allocation fails.
std::atomic<long> left{-1};

bool failsNow() {
  if (left.load(std::memory_order_relaxed) < 0) return false;
  return left.fetch_sub(1, std::memory_order_relaxed) == 0;
}

void* allocate(std::size_t bytes) {
  void* memory = failsNow() ? nullptr : std::malloc(bytes > 0 ? bytes : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

bool failAllocation(long number, const std::function<void()>& call) {
  left = number - 1;
  try {
    call();
  } catch (...) {
    left = -1;
    throw;
  }
  return left.exchange(-1) < 0;
}

extern "C" void* __real_aligned_alloc(std::size_t alignment, std::size_t bytes);
extern "C" void* __wrap_aligned_alloc(std::size_t alignment, std::size_t bytes);
extern "C" void* __wrap_aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return failsNow() ? nullptr : __real_aligned_alloc(alignment, bytes);
}

}  // namespace cross_attention::test

// These replace the allocation functions of the whole program, including the core's vectors, strings,
// functions and shared pointers.
void* operator new(std::size_t bytes) { return cross_attention::test::allocate(bytes); }
void* operator new[](std::size_t bytes) { return cross_attention::test::allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
