#include <algorithm>

#include "compiler/passes.hpp"
#include "core/buffer.hpp"

namespace cross_attention::compiler {

namespace {

/// A value's place in the arena, and the operations from and to which it is needed.
struct Life {
  Amount begin;
  Amount end;
  int from;
  int to;
};

Amount alignedBytes(Amount bytes) {
  constexpr Amount kAlignment = memory::kAlignment;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

MemoryPlan planMemory(const Program& program, Index elementBytes) {
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
    const Amount bytes = alignedBytes(Amount{program.at(number).shape.size()} * elementBytes);
    // The first gap between those that live at the same time.
    std::erase_if(lives, [&](const Life& life) { return life.to < number; });
    std::ranges::sort(lives, {}, &Life::begin);
    Amount offset = 0;
    for (const Life& life : lives) {
      if (offset + bytes <= life.begin) break;
      offset = std::max(offset, life.end);
    }
    lives.push_back({offset, offset + bytes, number, lastUse[static_cast<std::size_t>(number)]});
    plan.offsets[static_cast<std::size_t>(number)] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytes);
  }
  return plan;
}

}  // namespace cross_attention::compiler
