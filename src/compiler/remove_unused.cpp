#include "compiler/passes.hpp"

namespace cross_attention::compiler {

void removeUnused(Program& program) {
  // Where each operation goes: first whether it is used at all.
  constexpr int kUnused = -1;
  constexpr int kUsed = 0;
  std::vector<int> places(program.operations.size(), kUnused);
  const auto placeOf = [&places](int number) -> int& {
    return places[static_cast<std::size_t>(number)];
  };
  placeOf(program.output) = kUsed;
  for (int number = program.size() - 1; number >= 0; --number) {
    if (placeOf(number) == kUnused) continue;
    for (const int input : program.at(number).inputs) placeOf(input) = kUsed;
  }
  int kept = 0;
  for (int number = 0; number < program.size(); ++number) {
    if (placeOf(number) == kUnused) continue;
    Operation& operation = program.at(kept) = program.at(number);
    for (int& input : operation.inputs) input = placeOf(input);
    placeOf(number) = kept++;
  }
  program.output = placeOf(program.output);
  while (program.size() > kept) program.operations.pop_back();
}

}  // namespace cross_attention::compiler
