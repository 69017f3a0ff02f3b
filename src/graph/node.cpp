#include "graph/node.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"
#include "graph/shape_inference.hpp"

namespace cross_attention::graph {

const char* nameOf(ElementType type) { return type == ElementType::kFloat32 ? "float32" : "float64"; }

Node::Node(Operator op, const NodeName& name, ElementType type)
    : op_(op), type_(type), name_(text({name.layer, name.layer.empty() ? "" : ".", name.name})) {
  static std::uint64_t created = 0;
  id_ = ++created;
}

std::shared_ptr<Node> Node::make(Operator op, const NodeName& name, ElementType type) {
  return std::shared_ptr<Node>(new Node(op, name, type));
}

NodePointer Node::input(const NodeName& name, ElementType type, const Dimensions& shape, bool broadcasts) {
  std::shared_ptr<Node> node = make(Operator::kInput, name, type);
  node->shape_ = shape;
  node->broadcasts_ = broadcasts;
  return node;
}

NodePointer Node::constant(const NodeName& name, ElementType type, const Dimensions& shape,
                           const Constant& elements) {
  std::shared_ptr<Node> node = make(Operator::kConstant, name, type);
  node->shape_ = shape;
  node->elements_ = elements;
  return node;
}

NodePointer Node::apply(Operator op, const NodeName& name, const NodeInputs& inputs,
                        const Attributes& attributes) {
  const ElementType type = inputs.size() > 0 ? inputs.front()->type() : ElementType::kFloat32;
  std::shared_ptr<Node> node = make(op, name, type);
  const auto require = [&node](bool condition, std::initializer_list<TextPart> otherwise) {
    if (!condition) failArgument({"node '", node->name_, "' ", text(otherwise)});
  };
  const auto expected = static_cast<std::size_t>(inputsOf(op));
  const char* operatorName = graph::nameOf(op);
  require(expected > 0, {"is ", operatorName, "; expected an operator with inputs"});
  require(inputs.size() == expected,
          {"(", operatorName, ") has ", inputs.size(), " inputs; expected ", expected});
  InlineVector<Dimensions, 3> shapes;
  for (const NodePointer& input : inputs) {
    require(input->type() == type,
            {"(", operatorName, ") has float32 and float64 inputs; expected one dtype"});
    shapes.push_back(input->shape());
  }
  node->shape_ = inferShape(op, node->name_, shapes, attributes);
  node->inputs_ = inputs;
  node->attributes_ = attributes;
  return node;
}

std::vector<const Node*> topologicalOrder(std::span<const NodePointer> outputs) {
  // The nodes still to be visited: a heap with the most recently created node on top. Inputs are created
  // before the nodes that use them, so all users of a node leave the heap before the node itself. Duplicates
  // are adjacent.
  std::vector<const Node*> open;
  const auto wasCreatedBefore = [](const Node* left, const Node* right) { return left->id() < right->id(); };
  const auto add = [&](std::span<const NodePointer> nodes) {
    for (const NodePointer& pointer : nodes) {
      const Node* node = pointer.get();
      open.push_back(node);
      std::push_heap(open.begin(), open.end(), wasCreatedBefore);
    }
  };
  add(outputs);
  std::vector<const Node*> order;
  while (!open.empty()) {
    std::pop_heap(open.begin(), open.end(), wasCreatedBefore);
    const Node* node = open.back();
    open.pop_back();
    if (!order.empty() && order.back() == node) continue;
    order.push_back(node);
    add(node->inputs());
  }
  std::reverse(order.begin(), order.end());
  return order;
}

std::string print(const NodePointer& output) {
  std::string result;
  for (const Node* node : topologicalOrder(output)) {
    result += text({node->name(), " ", toString(node->shape()), " = ", nameOf(node->op()), "("});
    const char* separator = "";
    for (const NodePointer& input : node->inputs()) {
      result += text({separator, input->name()});
      separator = ", ";
    }
    for (const Index number : node->attributes()) {
      result += text({separator, number});
      separator = " ";
    }
    result += ")\n";
  }
  return result;
}

}  // namespace cross_attention::graph
