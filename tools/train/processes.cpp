#include "processes.hpp"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <new>
#include <stdexcept>
#include <system_error>

/// The beginning of the shared memory.
struct Processes::Shared {
  static constexpr std::size_t kBytes = 4096;
  std::atomic<unsigned long long> arrivals;
  /// True if at least one process has ended.
  std::atomic<bool> ended;
  static_assert(std::atomic<unsigned long long>::is_always_lock_free);
};

Processes::Processes(int count, std::size_t sharedBytes)
    : count_(count), parent_(getpid()), bytes_(Shared::kBytes + sharedBytes) {
  const auto fail = [] { throw std::system_error(errno, std::generic_category()); };
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail();
  shared_ = new (memory) Shared();
  memory_ = static_cast<std::byte*>(memory) + Shared::kBytes;
  for (int rank = 1; rank < count && rank_ == 0; ++rank) {
    const pid_t process = fork();
    if (process < 0) fail();
    if (process == 0) rank_ = rank;
  }
}

Processes::~Processes() {
  shared_->ended = true;
  if (rank_ == 0) {
    while (wait(nullptr) > 0) {
    }
  }
  munmap(shared_, bytes_);
}

void Processes::barrier() {
  ++barriers_;
  const unsigned long long all = barriers_ * static_cast<unsigned long long>(count_);
  ++shared_->arrivals;
  while (shared_->arrivals < all) {
    // The other processes arrive within milliseconds, so sleeping is not worth it.
    sched_yield();
    const bool wasKilled = rank_ == 0 ? waitpid(-1, nullptr, WNOHANG) > 0 : getppid() != parent_;
    // A process that has ended may have been the last one to arrive.
    if ((wasKilled || shared_->ended) && shared_->arrivals < all) {
      throw std::runtime_error("another process of the training has ended");
    }
  }
}
