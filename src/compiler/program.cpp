#include "compiler/program.hpp"

#include <algorithm>

#include "graph/shape_inference.hpp"

namespace cross_attention::compiler {

using graph::Operator;

int Program::add(Operator op, std::string name, std::vector<int> inputs,
                 std::vector<std::int64_t> list) {
  std::vector<graph::Dimensions> shapes;
  for (const int input : inputs) shapes.push_back(graph::toDimensions(at(input).shape));
  Operation operation;
  operation.op = op;
  operation.shape = graph::toShape(graph::inferShape(op, name, shapes, list), name.c_str());
  operation.name = std::move(name);
  operation.inputs = std::move(inputs);
  operation.list = std::move(list);
  operations.push_back(std::move(operation));
  return size() - 1;
}

const Operation* Program::inputOf(const Operation& operation, int number, Operator op,
                                  std::span<const std::int64_t> list) const {
  const Operation& input = at(operation.inputs[static_cast<std::size_t>(number)]);
  if (input.op != op) return nullptr;
  return list.empty() || std::ranges::equal(input.list, list) ? &input : nullptr;
}

double flopsOf(const Program& program, const Operation& operation) {
  if (operation.op != Operator::kMatMul) return 0;
  const Shape& left = program.at(operation.inputs[0]).shape;
  return 2.0 * static_cast<double>(operation.shape.size()) *
         static_cast<double>(left[left.rank() - 1]);
}

double flopsOf(const Program& program) {
  double flops = 0;
  for (const Operation& operation : program.operations) flops += flopsOf(program, operation);
  return flops;
}

}  // namespace cross_attention::compiler
