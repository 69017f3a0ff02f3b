#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

#include "core/index.hpp"

namespace cross_attention {

namespace memory {

/// Alignment of all buffers, in bytes: enough for the widest vector and for a cache line.
inline constexpr std::size_t kAlignment = 64;

/// Allocates aligned memory and counts it in bytesInUse. Throws kOutOfMemory if the memory cannot be
/// allocated or addressed.
void* allocate(ByteCount elements, std::size_t elementBytes);
void release(void* pointer, std::size_t bytes) noexcept;

/// Returns the bytes in live buffers of tensors, layers, caches and scratch.
std::size_t bytesInUse() noexcept;
/// Returns the maximum of bytesInUse since the last resetPeak.
std::size_t peakBytes() noexcept;
void resetPeak() noexcept;

/// An owned allocation, independent of the element type, so that owners of float and of double buffers
/// share the code that moves and destroys them.
class Allocation {
 public:
  Allocation() = default;
  Allocation(ByteCount elements, std::size_t elementBytes);
  Allocation(Allocation&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Allocation& operator=(Allocation&& other) noexcept;
  ~Allocation();

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace memory

/// An owned, aligned, uninitialized array of T. Movable, not copyable.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(ByteCount size) : allocation_(size, sizeof(T)) {}

  /// Sets all elements to 0.
  void clear() {
    if (!empty()) std::memset(allocation_.data(), 0, allocation_.bytes());
  }

  T* data() { return static_cast<T*>(allocation_.data()); }
  const T* data() const { return static_cast<const T*>(allocation_.data()); }
  Index size() const { return static_cast<Index>(allocation_.bytes() / sizeof(T)); }
  bool empty() const { return allocation_.bytes() == 0; }
  T& operator[](Index index) { return data()[index]; }
  const T& operator[](Index index) const { return data()[index]; }
  T* begin() { return data(); }
  T* end() { return data() + size(); }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size(); }

 private:
  memory::Allocation allocation_;
};

}  // namespace cross_attention
