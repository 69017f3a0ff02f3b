#pragma once

#include <memory>
#include <vector>

#include "core/buffer.hpp"

namespace cross_attention {

/// One thread's memory for the length of a task: reserved before, handed out front to back, forgotten after.
class Scratch {
 public:
  /// What `count` elements of T take of a reservation.
  template <class T>
  static constexpr Amount bytesFor(Amount count) {
    constexpr Amount kAlignment = memory::kAlignment;
    return (count * static_cast<Amount>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
  }

  /// Makes room for `bytes`. Throws kOutOfMemory. Never called while a task holds memory of it.
  void reserve(Amount bytes) {
    if (bytes > buffer_.size()) {
      buffer_ = Buffer<std::byte>();
      buffer_ = Buffer<std::byte>(bytes);
    }
  }
  void reset() { used_ = 0; }
  /// `count` uninitialised elements, aligned for vectors, good until reset. The reservation must cover them.
  template <class T>
  T* take(Amount count) {
    T* memory = reinterpret_cast<T*>(buffer_.data() + used_);
    used_ += static_cast<Index>(bytesFor<T>(count));
    return memory;
  }

 private:
  Buffer<std::byte> buffer_;
  Index used_ = 0;
};

/// The scratch of every thread slot. All layers share one, which goes with the last of them.
class Workspace {
 public:
  static std::shared_ptr<Workspace> shared();

  explicit Workspace(int slots) : scratches_(static_cast<std::size_t>(slots)) {}
  Scratch& operator[](int slot) { return scratches_[static_cast<std::size_t>(slot)]; }

 private:
  std::vector<Scratch> scratches_;
};

}  // namespace cross_attention
