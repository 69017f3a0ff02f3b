#include <algorithm>
#include <span>

#include "compiler/passes.hpp"
#include "core/buffer.hpp"

namespace cross_attention::compiler {

namespace {

ByteCount alignedBytes(ByteCount bytes) {
  constexpr ByteCount kAlignment = memory::kAlignment;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

ByteCount bytesOf(const Program& program, std::size_t index) {
  return alignedBytes(ByteCount{program.operations[index].shape.size()} *
                      static_cast<ByteCount>(bytesOf(program.type)));
}

/// Returns the first gap for the value at `index` between earlier values that are live at the same time.
ByteCount firstGap(const Program& program, const MemoryPlan& plan, std::span<const int> lastUses,
                   std::size_t index) {
  const ByteCount bytes = bytesOf(program, index);
  ByteCount offset = 0;
  for (std::size_t other = 0; other < index;) {
    const ByteCount begin = plan.offsets[other];
    const ByteCount end = begin + bytesOf(program, other);
    const bool lives = begin >= 0 && lastUses[other] >= static_cast<int>(index);
    const bool overlaps = lives && begin < offset + bytes && offset < end;
    if (overlaps) offset = end;
    other = overlaps ? 0 : other + 1;
  }
  return offset;
}

}  // namespace

MemoryPlan planMemory(const Program& program) {
  const std::size_t size = program.operations.size();
  // The last operation that reads each value.
  std::vector<int> lastUses(size, -1);
  for (int number = 0; number < program.size(); ++number) {
    for (const int input : program.at(number).inputs) {
      lastUses[static_cast<std::size_t>(input)] = number;
    }
  }
  MemoryPlan plan;
  plan.offsets = std::vector<ByteCount>(size, -1);
  for (std::size_t index = 0; index < size; ++index) {
    const bool isOutput = static_cast<int>(index) == program.output;
    if (program.operations[index].isLeaf() || isOutput) continue;
    const ByteCount offset = firstGap(program, plan, lastUses, index);
    plan.offsets[index] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytesOf(program, index));
  }
  return plan;
}

}  // namespace cross_attention::compiler
