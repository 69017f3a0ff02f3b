#include "compiler/passes.hpp"

namespace cross_attention::compiler {

void removeUnused(Program& program) {
  // The new index of each operation. At first only whether it is used at all.
  constexpr int kUnused = -1;
  constexpr int kUsed = 0;
  std::vector<int> newIndices(program.operations.size(), kUnused);
  const auto newIndexOf = [&newIndices](int number) -> int& {
    return newIndices[static_cast<std::size_t>(number)];
  };
  newIndexOf(program.output) = kUsed;
  for (int number = program.size() - 1; number >= 0; --number) {
    if (newIndexOf(number) == kUnused) continue;
    for (const int input : program.at(number).inputs) newIndexOf(input) = kUsed;
  }
  int usedCount = 0;
  for (int number = 0; number < program.size(); ++number) {
    if (newIndexOf(number) == kUnused) continue;
    Operation& operation = program.at(usedCount) = program.at(number);
    for (int& input : operation.inputs) input = newIndexOf(input);
    newIndexOf(number) = usedCount++;
  }
  program.output = newIndexOf(program.output);
  while (program.size() > usedCount) program.operations.pop_back();
}

}  // namespace cross_attention::compiler
