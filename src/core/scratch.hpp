#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/buffer.hpp"

namespace cross_attention {

/// One thread's bump allocator: reserved before a task, handed out from front to back during the task, and
/// reset after it.
class Scratch {
 public:
  /// Returns the bytes that `count` elements of T occupy, including alignment.
  template <class T>
  static constexpr ByteCount bytesFor(ByteCount count) {
    constexpr ByteCount kAlignment = memory::kAlignment;
    return (count * static_cast<ByteCount>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
  }

  /// Ensures a capacity of `bytes`. Invalidates all memory handed out before. Throws kOutOfMemory.
  void reserve(ByteCount bytes) {
    if (bytes > buffer_.size()) {
      buffer_ = Buffer<std::byte>();
      buffer_ = Buffer<std::byte>(bytes);
    }
  }
  void reset() { used_ = 0; }
  /// Returns `count` uninitialized elements, aligned for vectors and valid until reset. Requires that the
  /// capacity suffices.
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

/// The stages of a schedule, and the memory of their work.
class StageMemory {
 public:
  static constexpr std::size_t kBlockBytes = 1024;

  /// One virtual call per task. Each kind of work costs a third of the code that std::function would.
  struct AnyWork {
    virtual ~AnyWork() = default;
    virtual void run(Index task, Scratch& scratch) = 0;
  };
  struct Stage {
    Index tasks;
    ByteCount scratchBytes;
    /// Lies in memory from allocate.
    AnyWork* work;
  };

  std::vector<Stage> stages;

  /// Reserves one more stage, and returns `bytes` of memory for its work: at most kBlockBytes, aligned for
  /// any type.
  void* allocate(std::size_t bytes);
  /// Adds a stage whose work lies in the memory that allocate returned. Does not throw.
  void add(Index tasks, ByteCount scratchBytes, AnyWork* work);
  /// Destroys the work but keeps the memory.
  void clear();

 private:
  struct alignas(std::max_align_t) Block {
    std::array<std::byte, kBlockBytes> bytes;
  };
  std::vector<std::unique_ptr<Block>> blocks_;
  std::size_t usedBlocks_ = 0;
  /// Within the last used block.
  std::size_t usedBytes_ = kBlockBytes;
};

/// The scratch memory of every thread slot. All layers share one workspace, which is freed with the last of
/// them.
class Workspace {
 public:
  static std::shared_ptr<Workspace> shared();

  explicit Workspace(int slots) : scratches_(static_cast<std::size_t>(slots)) {}
  Scratch& operator[](int slot) { return scratches_[static_cast<std::size_t>(slot)]; }

  /// Returns an empty StageMemory that reuses the memory of an earlier schedule, if there was one.
  StageMemory takeStageMemory();
  void returnStageMemory(StageMemory memory) noexcept;

 private:
  std::vector<Scratch> scratches_;
  StageMemory spare_;
};

}  // namespace cross_attention
