#include "core/scratch.hpp"

#include <utility>

#include "core/thread_pool.hpp"

namespace cross_attention {

void* StageMemory::allocate(std::size_t bytes) {
  if (stages.size() == stages.capacity()) stages.reserve(2 * stages.size() + 4);
  constexpr std::size_t kAlignment = alignof(std::max_align_t);
  const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (usedBytes_ + rounded > kBlockBytes) {
    if (usedBlocks_ == blocks_.size()) blocks_.push_back(std::make_unique<Block>());
    ++usedBlocks_;
    usedBytes_ = 0;
  }
  void* memory = blocks_[usedBlocks_ - 1]->bytes.data() + usedBytes_;
  usedBytes_ += rounded;
  return memory;
}

void StageMemory::add(Index tasks, ByteCount scratchBytes, AnyWork* work) {
  stages.push_back({tasks, scratchBytes, work});
}

void StageMemory::clear() {
  for (const Stage& stage : stages) stage.work->~AnyWork();
  stages.clear();
  usedBlocks_ = 0;
  usedBytes_ = kBlockBytes;
}

StageMemory Workspace::takeStageMemory() { return std::exchange(spare_, StageMemory()); }

void Workspace::returnStageMemory(StageMemory memory) noexcept { spare_ = std::move(memory); }

std::shared_ptr<Workspace> Workspace::shared() {
  static std::weak_ptr<Workspace> current;
  std::shared_ptr<Workspace> workspace = current.lock();
  if (!workspace) {
    workspace = std::make_shared<Workspace>(ThreadPool::kSlots);
    current = workspace;
  }
  return workspace;
}

}  // namespace cross_attention
