#include "compiler/program.hpp"

#include "graph/shape_inference.hpp"

namespace cross_attention::compiler {

using graph::Operator;

int Program::add(const Operation& operation) {
  operations.push_back(operation);
  return size() - 1;
}

int Program::add(Operator op, std::string_view name, const Inputs& inputs,
                 const graph::Attributes& attributes) {
  graph::InlineVector<graph::Dimensions, 3> shapes;
  for (const int input : inputs) shapes.push_back(graph::toDimensions(at(input).shape));
  return add({.op = op,
              .name = name,
              .inputs = inputs,
              .attributes = attributes,
              .shape = graph::toShape(graph::inferShape(op, name, shapes, attributes), name)});
}

void Program::setTensor(Operation& operation, const AnyTensor& tensor) {
  operation.tensor = static_cast<int>(tensors.size());
  tensors.push_back(tensor);
}

const Operation* Program::inputOf(const Operation& operation, std::size_t number, Operator op,
                                  const graph::Attributes& attributes) const {
  const Operation& input = at(operation.inputs[number]);
  const bool isIt = input.op == op && (attributes.size() == 0 || input.attributes == attributes);
  return isIt ? &input : nullptr;
}

const void* Program::elements(const Operation& operation) const {
  return operation.tensor >= 0 ? tensorOf(operation).elements() : operation.owner->elements(operation.part);
}

double flopsOf(const Program& program, const Operation& operation) {
  if (operation.op != Operator::kMatMul) return 0;
  const Shape& left = program.at(operation.inputs[0]).shape;
  return 2.0 * static_cast<double>(operation.shape.size()) * static_cast<double>(left[left.rank() - 1]);
}

double flopsOf(const Program& program) {
  double flops = 0;
  for (const Operation& operation : program.operations) flops += flopsOf(program, operation);
  return flops;
}

}  // namespace cross_attention::compiler
