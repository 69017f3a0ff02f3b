#include "core/scratch.hpp"

#include "core/thread_pool.hpp"

namespace cross_attention {

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
