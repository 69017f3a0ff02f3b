#pragma once

#include <cstddef>

/// Processes that work on parts of the same steps: each has a model of its own, and they share the memory that is asked
/// for here. So nothing of the core needs a lock, and every core of the machine is busy from a step's beginning to its end.
class Processes {
 public:
  /// Forks count - 1 more: each goes on from here. Before any thread is started. Throws std::system_error.
  Processes(int count, std::size_t sharedBytes);
  /// The others are told that this one comes no more, at the end or after a failure; the first waits for them.
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  /// 0 for the one that was there first.
  int number() const { return number_; }
  int count() const { return count_; }
  /// `sharedBytes` of zeros at first.
  void* memory() const { return memory_; }

  /// Returns when all have come here. Throws std::runtime_error where one has ended.
  void meet();

 private:
  struct Shared;

  int count_;
  int number_ = 0;
  int first_;  ///< the first one's process
  std::size_t bytes_;
  unsigned long long meetings_ = 0;
  Shared* shared_;
  void* memory_;
};
