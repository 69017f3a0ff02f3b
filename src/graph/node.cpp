#include "graph/node.hpp"

#include <algorithm>
#include <functional>

#include "core/error.hpp"
#include "core/text.hpp"
#include "graph/shape_inference.hpp"

namespace cross_attention::graph {

const char* nameOf(ElementType type) {
  return type == ElementType::kFloat32 ? "float32" : "float64";
}

Node::Node(Operator op, std::string name, ElementType type)
    : op_(op), name_(std::move(name)), type_(type) {
  static std::uint64_t made = 0;
  id_ = ++made;
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
    failArgument({"node '", name, "' is ", graph::nameOf(op), "; it takes an operator"});
  }
  if (inputs.size() != expected) {
    failArgument({"node '", name, "' has ", inputs.size(), " inputs; ", graph::nameOf(op),
                       " takes ", expected});
  }
  std::vector<Dimensions> shapes;
  for (const NodePointer& input : inputs) {
    if (input->type() != inputs.front()->type()) {
      failArgument({"node '", name, "' has inputs of float32 and of float64; ",
                         graph::nameOf(op), " takes those of one"});
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
  // Those that are still to come, the one that was made last in front. What a node needs was made before it, so that all
  // who need a node come before it, too.
  std::vector<NodePointer> open;
  const auto add = [&open](const NodePointer& node) {
    const auto place = std::ranges::lower_bound(open, node->id(), std::greater(), &Node::id);
    if (place == open.end() || *place != node) open.insert(place, node);
  };
  for (const NodePointer& output : outputs) add(output);
  std::vector<NodePointer> order;
  while (!open.empty()) {
    order.push_back(open.front());
    open.erase(open.begin());
    for (const NodePointer& input : order.back()->inputs()) add(input);
  }
  std::ranges::reverse(order);
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
