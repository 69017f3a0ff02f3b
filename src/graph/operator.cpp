#include "graph/operator.hpp"

#include <array>

namespace cross_attention::graph {

namespace {

struct OperatorInfo {
  const char* name;
  int inputs;
};

constexpr std::array<OperatorInfo, 15> kOperatorInfo{{{"Input", 0},
                                                      {"Constant", 0},
                                                      {"Add", 2},
                                                      {"Sub", 2},
                                                      {"Mul", 2},
                                                      {"Div", 2},
                                                      {"Log", 1},
                                                      {"Identity", 1},
                                                      {"Sqrt", 1},
                                                      {"MatMul", 2},
                                                      {"Softmax", 1},
                                                      {"ReduceMean", 1},
                                                      {"Transpose", 1},
                                                      {"Reshape", 1},
                                                      {"CrossAttention", 0}}};

}  // namespace

const char* nameOf(Operator op) { return kOperatorInfo[static_cast<std::size_t>(op)].name; }
int inputsOf(Operator op) { return kOperatorInfo[static_cast<std::size_t>(op)].inputs; }

}  // namespace cross_attention::graph
