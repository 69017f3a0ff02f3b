#include "graph/node.hpp"

#include <unordered_set>

#include "core/error.hpp"
#include "core/text.hpp"
#include "graph/shape_inference.hpp"

namespace cross_attention::graph {

const char* nameOf(ElementType type) {
  return type == ElementType::kFloat32 ? "float32" : "float64";
}

NodePointer Node::input(std::string name, ElementType type, Dimensions shape, bool broadcasts) {
  Node node(Operator::kInput, std::move(name), type);
  node.shape_ = std::move(shape);
  node.broadcasts_ = broadcasts;
  return std::make_shared<const Node>(std::move(node));
}

NodePointer Node::constant(std::string name, ElementType type, Dimensions shape,
                           Constant elements) {
  Node node(Operator::kConstant, std::move(name), type);
  node.shape_ = std::move(shape);
  node.elements_ = std::move(elements);
  return std::make_shared<const Node>(std::move(node));
}

NodePointer Node::apply(Operator op, std::string name, std::vector<NodePointer> inputs,
                        std::vector<std::int64_t> list) {
  const auto expected = static_cast<std::size_t>(inputsOf(op));
  if (expected == 0) {
    failArgument(text({"node '", name, "' is ", graph::nameOf(op), "; it takes an operator"}));
  }
  if (inputs.size() != expected) {
    failArgument(text({"node '", name, "' has ", inputs.size(), " inputs; ", graph::nameOf(op),
                       " takes ", expected}));
  }
  std::vector<Dimensions> shapes;
  for (const NodePointer& input : inputs) {
    if (input->type() != inputs.front()->type()) {
      failArgument(text({"node '", name, "' has inputs of float32 and of float64; ",
                         graph::nameOf(op), " takes those of one"}));
    }
    shapes.push_back(input->shape());
  }
  Node node(op, std::move(name), inputs.front()->type());
  node.shape_ = inferShape(op, node.name_, shapes, list);
  node.inputs_ = std::move(inputs);
  node.list_ = std::move(list);
  return std::make_shared<const Node>(std::move(node));
}

std::vector<NodePointer> inOrder(const std::vector<NodePointer>& outputs) {
  std::vector<NodePointer> order;
  std::unordered_set<const Node*> seen;
  // Not by recursion: a graph may be deeper than the stack.
  struct Visit {
    NodePointer node;
    std::size_t nextInput = 0;
  };
  std::vector<Visit> path;
  for (const NodePointer& output : outputs) {
    if (seen.insert(output.get()).second) path.push_back({output});
    while (!path.empty()) {
      Visit& visit = path.back();
      if (visit.nextInput == visit.node->inputs().size()) {
        order.push_back(visit.node);
        path.pop_back();
        continue;
      }
      const NodePointer& input = visit.node->inputs()[visit.nextInput++];
      if (seen.insert(input.get()).second) path.push_back({input});
    }
  }
  return order;
}

std::string print(const std::vector<NodePointer>& outputs) {
  std::string result;
  for (const NodePointer& node : inOrder(outputs)) {
    result += text({node->name(), " ", toString(node->shape()), " = ", nameOf(node->op()), "("});
    const char* separator = "";
    for (const NodePointer& input : node->inputs()) {
      result += text({separator, input->name()});
      separator = ", ";
    }
    for (const std::int64_t number : node->list()) {
      result += text({separator, number});
      separator = " ";
    }
    result += ")\n";
  }
  return result;
}

}  // namespace cross_attention::graph
