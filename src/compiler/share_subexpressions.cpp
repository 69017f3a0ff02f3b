#include <numeric>

#include "compiler/passes.hpp"

namespace cross_attention::compiler {

namespace {

bool isSame(const Operation& left, const Operation& right) {
  return left.op == right.op && left.inputs == right.inputs && left.attributes == right.attributes &&
         left.shape == right.shape && left.input == right.input && left.owner == right.owner &&
         left.part == right.part && left.tensor == right.tensor;
}

}  // namespace

void shareSubexpressions(Program& program) {
  std::vector<int> canonical(program.operations.size(), 0);
  std::iota(canonical.begin(), canonical.end(), 0);
  for (int number = 0; number < program.size(); ++number) {
    Operation& operation = program.at(number);
    for (int& input : operation.inputs) input = canonical[static_cast<std::size_t>(input)];
    for (int earlier = 0; earlier < number; ++earlier) {
      if (!isSame(program.at(earlier), operation)) continue;
      canonical[static_cast<std::size_t>(number)] = earlier;
      break;
    }
  }
  program.output = canonical[static_cast<std::size_t>(program.output)];
}

}  // namespace cross_attention::compiler
