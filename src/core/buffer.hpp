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
void* allocate(ByteCount elements, std::size_t elementBytes);
void release(void* pointer, std::size_t bytes) noexcept;

/// Bytes in live buffers of tensors, layers, caches and scratch.
std::size_t bytesInUse() noexcept;
/// The most that bytesInUse has been since the last resetPeak.
std::size_t peakBytes() noexcept;
void resetPeak() noexcept;

/// An owned piece of such memory. It knows nothing of elements, so that whatever owns buffers of float is moved and
/// destroyed by the same code as what owns buffers of double.
class Piece {
 public:
  Piece() = default;
  Piece(ByteCount elements, std::size_t elementBytes);
  Piece(Piece&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Piece& operator=(Piece&& other) noexcept;
  ~Piece();

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace memory

/// An owned, aligned, uninitialised array of T. Moves, does not copy.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(ByteCount size) : piece_(size, sizeof(T)) {}

  /// All elements 0.
  void clear() {
    if (!empty()) std::memset(piece_.data(), 0, piece_.bytes());
  }

  T* data() { return static_cast<T*>(piece_.data()); }
  const T* data() const { return static_cast<const T*>(piece_.data()); }
  Index size() const { return static_cast<Index>(piece_.bytes() / sizeof(T)); }
  bool empty() const { return piece_.bytes() == 0; }
  T& operator[](Index index) { return data()[index]; }
  const T& operator[](Index index) const { return data()[index]; }
  T* begin() { return data(); }
  T* end() { return data() + size(); }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size(); }

 private:
  memory::Piece piece_;
};

}  // namespace cross_attention
