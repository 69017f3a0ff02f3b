#include "compiler/passes.hpp"

namespace cross_attention::compiler {

void removeUnused(Program& program) {
  std::vector<bool> used(program.operations.size());
  used[static_cast<std::size_t>(program.output)] = true;
  for (int number = program.size() - 1; number >= 0; --number) {
    if (!used[static_cast<std::size_t>(number)]) continue;
    for (const int input : program.at(number).inputs) used[static_cast<std::size_t>(input)] = true;
  }
  std::vector<Operation> kept;
  std::vector<int> place(program.operations.size());
  for (int number = 0; number < program.size(); ++number) {
    if (!used[static_cast<std::size_t>(number)]) continue;
    place[static_cast<std::size_t>(number)] = static_cast<int>(kept.size());
    kept.push_back(std::move(program.at(number)));
    for (int& input : kept.back().inputs) input = place[static_cast<std::size_t>(input)];
  }
  program.output = place[static_cast<std::size_t>(program.output)];
  program.operations = std::move(kept);
}

}  // namespace cross_attention::compiler
