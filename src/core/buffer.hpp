#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

#include "core/index.hpp"

namespace cross_attention {

namespace memory {

/// Aligned for the widest vector and for a cache line.
inline constexpr std::size_t kAlignment = 64;

/// Throws Error(kOutOfMemory) where the memory cannot be had or addressed. Counted in bytesInUse.
void* allocate(Amount elements, std::size_t elementBytes);
void release(void* pointer, std::size_t bytes) noexcept;

/// Bytes in live buffers of tensors, layers, caches and scratch.
std::size_t bytesInUse() noexcept;
/// The most that bytesInUse has been since the last resetPeak.
std::size_t peakBytes() noexcept;
void resetPeak() noexcept;

}  // namespace memory

/// An owned, aligned, uninitialised array of T. Moves, does not copy.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Amount size)
      : data_(size > 0 ? static_cast<T*>(memory::allocate(size, sizeof(T))) : nullptr),
        size_(static_cast<Index>(size)) {}
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) memory::release(data_, static_cast<std::size_t>(size_) * sizeof(T));
  }

  /// All elements 0.
  void clear() {
    if (size_ > 0)
      std::memset(static_cast<void*>(data_), 0, static_cast<std::size_t>(size_) * sizeof(T));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  Index size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](Index index) { return data_[index]; }
  const T& operator[](Index index) const { return data_[index]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  T* data_ = nullptr;
  Index size_ = 0;
};

}  // namespace cross_attention
