#pragma once

#include <cstddef>

/// Processes that compute parts of the same training steps. Each process has a separate model, so the core
/// needs no locks, and all cores of the machine are busy during the whole step. The processes share a block
/// of memory.
class Processes {
 public:
  /// Forks count - 1 processes, which all continue from here. Call it before any thread is started. Throws
  /// std::system_error if a system call fails.
  Processes(int count, std::size_t sharedBytes);
  /// Notifies the other processes that this one has ended. Process 0 waits for them.
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  /// Returns the index of this process, 0 for the parent process.
  int rank() const { return rank_; }
  int count() const { return count_; }
  /// Returns the shared memory, `sharedBytes` bytes, initially zero.
  void* memory() const { return memory_; }

  /// Blocks until all processes have called it. Throws std::runtime_error if a process has ended.
  void barrier();

 private:
  struct Shared;

  int count_;
  int rank_ = 0;
  /// The process id of process 0.
  int parent_;
  std::size_t bytes_;
  unsigned long long barriers_ = 0;
  Shared* shared_;
  void* memory_;
};
