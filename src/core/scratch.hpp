#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/buffer.hpp"

namespace cross_attention {

/// One thread's memory for the length of a task: reserved before, handed out front to back, forgotten after.
class Scratch {
 public:
  /// What `count` elements of T take of a reservation.
  template <class T>
  static constexpr ByteCount bytesFor(ByteCount count) {
    constexpr ByteCount kAlignment = memory::kAlignment;
    return (count * static_cast<ByteCount>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
  }

  /// Makes room for `bytes`. Throws kOutOfMemory. Never called while a task holds memory of it.
  void reserve(ByteCount bytes) {
    if (bytes > buffer_.size()) {
      buffer_ = Buffer<std::byte>();
      buffer_ = Buffer<std::byte>(bytes);
    }
  }
  void reset() { used_ = 0; }
  /// `count` uninitialised elements, aligned for vectors, good until reset. The reservation must cover them.
  template <class T>
  T* take(ByteCount count) {
    T* memory = reinterpret_cast<T*>(buffer_.data() + used_);
    used_ += static_cast<Index>(bytesFor<T>(count));
    return memory;
  }

 private:
  Buffer<std::byte> buffer_;
  Index used_ = 0;
};

/// The stages of a schedule and what they do.
class StageMemory {
 public:
  static constexpr std::size_t kBlockBytes = 1024;

  /// Not std::function: one virtual call a task, and a third of its code for every kind of work.
  struct AnyWork {
    virtual ~AnyWork() = default;
    virtual void run(Index task, Scratch& scratch) = 0;
  };
  struct Stage {
    Index tasks;
    ByteCount scratchBytes;
    AnyWork* work;  ///< in memory of makeRoom
  };

  std::vector<Stage> stages;

  /// Room for one more stage, and `bytes` for its work: at most kBlockBytes, aligned for anything.
  void* makeRoom(std::size_t bytes);
  /// `work`: made where makeRoom said. Cannot fail.
  void add(Index tasks, ByteCount scratchBytes, AnyWork* work);
  /// Destroys the work; the memory stays.
  void clear();

 private:
  struct alignas(std::max_align_t) Block {
    std::array<std::byte, kBlockBytes> bytes;
  };
  std::vector<std::unique_ptr<Block>> blocks_;
  std::size_t usedBlocks_ = 0;
  std::size_t usedBytes_ = kBlockBytes;  ///< of the last used block
};

/// The scratch of every thread slot. All layers share one, which goes with the last of them.
class Workspace {
 public:
  static std::shared_ptr<Workspace> shared();

  explicit Workspace(int slots) : scratches_(static_cast<std::size_t>(slots)) {}
  Scratch& operator[](int slot) { return scratches_[static_cast<std::size_t>(slot)]; }

  /// Empty; with what an earlier schedule has left of memory, where there is any.
  StageMemory takeStageMemory();
  void giveBack(StageMemory memory) noexcept;

 private:
  std::vector<Scratch> scratches_;
  StageMemory spare_;
};

}  // namespace cross_attention
