#include "core/buffer.hpp"

#include <atomic>
#include <cstdlib>
#include <limits>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::memory {

namespace {

std::atomic<std::size_t> inUse{0};
std::atomic<std::size_t> peak{0};

}  // namespace

void* allocate(ByteCount elements, std::size_t elementBytes) {
  // Byte offsets within a buffer must fit in an Index.
  constexpr std::size_t kMaxBytes = static_cast<std::size_t>(std::numeric_limits<Index>::max()) - kAlignment;
  void* pointer = nullptr;
  std::size_t bytes = 0;
  if (elements <= static_cast<ByteCount>(kMaxBytes / elementBytes)) {
    bytes = static_cast<std::size_t>(elements) * elementBytes;
    // aligned_alloc requires a multiple of the alignment.
    pointer = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  if (pointer == nullptr) {
    failOutOfMemory({"out of memory: cannot allocate ", elements, " elements of ", elementBytes, " bytes; ",
                     bytesInUse(), " bytes are in use"});
  }
  const std::size_t now = inUse.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::size_t highest = peak.load(std::memory_order_relaxed);
  while (now > highest && !peak.compare_exchange_weak(highest, now, std::memory_order_relaxed)) {
  }
  return pointer;
}

void release(void* pointer, std::size_t bytes) noexcept {
  std::free(pointer);
  inUse.fetch_sub(bytes, std::memory_order_relaxed);
}

Allocation::Allocation(ByteCount elements, std::size_t elementBytes) {
  if (elements <= 0) return;
  data_ = allocate(elements, elementBytes);
  bytes_ = static_cast<std::size_t>(elements) * elementBytes;
}

Allocation& Allocation::operator=(Allocation&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Allocation::~Allocation() {
  if (data_ != nullptr) release(data_, bytes_);
}

std::size_t bytesInUse() noexcept { return inUse.load(std::memory_order_relaxed); }
std::size_t peakBytes() noexcept { return peak.load(std::memory_order_relaxed); }
void resetPeak() noexcept { peak.store(bytesInUse(), std::memory_order_relaxed); }

}  // namespace cross_attention::memory
