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

/// At the beginning of the memory that all have.
struct Processes::Shared {
  static constexpr std::size_t kBytes = 4096;
  std::atomic<unsigned long long> arrivals;
  std::atomic<bool> ended;  ///< one of them comes no more
  static_assert(std::atomic<unsigned long long>::is_always_lock_free);
};

Processes::Processes(int count, std::size_t sharedBytes)
    : count_(count), first_(getpid()), bytes_(Shared::kBytes + sharedBytes) {
  const auto fail = [] { throw std::system_error(errno, std::generic_category()); };
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail();
  shared_ = new (memory) Shared();
  memory_ = static_cast<std::byte*>(memory) + Shared::kBytes;
  for (int number = 1; number < count && number_ == 0; ++number) {
    const pid_t process = fork();
    if (process < 0) fail();
    if (process == 0) number_ = number;
  }
}

Processes::~Processes() {
  shared_->ended = true;
  if (number_ == 0) {
    while (wait(nullptr) > 0) {
    }
  }
  munmap(shared_, bytes_);
}

void Processes::meet() {
  ++meetings_;
  const unsigned long long all = meetings_ * static_cast<unsigned long long>(count_);
  ++shared_->arrivals;
  while (shared_->arrivals < all) {
    // The others come within milliseconds: not worth a sleep.
    sched_yield();
    const bool wasKilled = number_ == 0 ? waitpid(-1, nullptr, WNOHANG) > 0 : getppid() != first_;
    // One that has ended may have been the last to come.
    if ((wasKilled || shared_->ended) && shared_->arrivals < all) {
      throw std::runtime_error("another process of the training has ended");
    }
  }
}
