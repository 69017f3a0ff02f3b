#include <algorithm>

#include "compiler/passes.hpp"
#include "core/buffer.hpp"

namespace cross_attention::compiler {

namespace {

/// A value's place in the arena, and the last operation that needs it.
struct Life {
  Amount begin;
  Amount end;
  int to;
};

Amount alignedBytes(Amount bytes) {
  constexpr Amount kAlignment = memory::kAlignment;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

MemoryPlan planMemory(const Program& program) {
  std::vector<int> lastUse(program.operations.size(), -1);
  for (int number = 0; number < program.size(); ++number) {
    for (const int input : program.at(number).inputs) {
      lastUse[static_cast<std::size_t>(input)] = number;
    }
  }
  MemoryPlan plan;
  plan.offsets.assign(program.operations.size(), -1);
  std::vector<Life> lives;
  for (int number = 0; number < program.size(); ++number) {
    if (program.at(number).isGiven() || number == program.output) continue;
    const Amount bytes = alignedBytes(Amount{program.at(number).shape.size()} *
                                      static_cast<Amount>(bytesOf(program.type)));
    // The first gap between those that live at the same time, which lie in their order.
    std::erase_if(lives, [&](const Life& life) { return life.to < number; });
    Amount offset = 0;
    auto next = lives.begin();
    for (; next != lives.end() && offset + bytes > next->begin; ++next) {
      offset = std::max(offset, next->end);
    }
    lives.insert(next, {offset, offset + bytes, lastUse[static_cast<std::size_t>(number)]});
    plan.offsets[static_cast<std::size_t>(number)] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytes);
  }
  return plan;
}

}  // namespace cross_attention::compiler
