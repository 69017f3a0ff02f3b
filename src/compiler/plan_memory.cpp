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

ByteCount bytesOf(const Program& program, std::size_t place) {
  return alignedBytes(ByteCount{program.operations[place].shape.size()} *
                      static_cast<ByteCount>(bytesOf(program.type)));
}

/// For the value at `place`: the first gap between those before it that live at the same time.
ByteCount firstGap(const Program& program, const MemoryPlan& plan, std::span<const int> lastUses,
                std::size_t place) {
  const ByteCount bytes = bytesOf(program, place);
  ByteCount offset = 0;
  for (std::size_t other = 0; other < place;) {
    const ByteCount begin = plan.offsets[other];
    const ByteCount end = begin + bytesOf(program, other);
    const bool lives = begin >= 0 && lastUses[other] >= static_cast<int>(place);
    const bool isInTheWay = lives && begin < offset + bytes && offset < end;
    if (isInTheWay) offset = end;
    other = isInTheWay ? 0 : other + 1;
  }
  return offset;
}

}  // namespace

MemoryPlan planMemory(const Program& program) {
  const std::size_t size = program.operations.size();
  // The last operation that needs each value.
  std::vector<int> lastUses(size, -1);
  for (int number = 0; number < program.size(); ++number) {
    for (const int input : program.at(number).inputs) {
      lastUses[static_cast<std::size_t>(input)] = number;
    }
  }
  MemoryPlan plan;
  plan.offsets = std::vector<ByteCount>(size, -1);
  for (std::size_t place = 0; place < size; ++place) {
    const bool isOutput = static_cast<int>(place) == program.output;
    if (program.operations[place].isGiven() || isOutput) continue;
    const ByteCount offset = firstGap(program, plan, lastUses, place);
    plan.offsets[place] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytesOf(program, place));
  }
  return plan;
}

}  // namespace cross_attention::compiler
