#include <numeric>

#include "compiler/passes.hpp"

namespace cross_attention::compiler {

namespace {

bool isSame(const Operation& left, const Operation& right) {
  return left.op == right.op && left.inputs == right.inputs && left.list == right.list &&
         left.shape == right.shape && left.input == right.input && left.owner == right.owner &&
         left.part == right.part && left.tensor == right.tensor;
}

}  // namespace

void shareSubexpressions(Program& program) {
  std::vector<int> place(program.operations.size(), 0);
  std::iota(place.begin(), place.end(), 0);
  for (int number = 0; number < program.size(); ++number) {
    Operation& operation = program.at(number);
    for (int& input : operation.inputs) input = place[static_cast<std::size_t>(input)];
    for (int earlier = 0; earlier < number; ++earlier) {
      if (!isSame(program.at(earlier), operation)) continue;
      place[static_cast<std::size_t>(number)] = earlier;
      break;
    }
  }
  program.output = place[static_cast<std::size_t>(program.output)];
}

}  // namespace cross_attention::compiler
