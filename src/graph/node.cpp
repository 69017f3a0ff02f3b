#include "graph/node.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"
#include "graph/shape_inference.hpp"

namespace cross_attention::graph {

const char* nameOf(ElementType type) {
  return type == ElementType::kFloat32 ? "float32" : "float64";
}

Node::Node(Operator op, const NodeName& name, ElementType type)
    : op_(op), type_(type), name_(text({name.layer, name.layer.empty() ? "" : ".", name.name})) {
  static std::uint64_t made = 0;
  id_ = ++made;
}

std::shared_ptr<Node> Node::make(Operator op, const NodeName& name, ElementType type) {
  return std::shared_ptr<Node>(new Node(op, name, type));
}

NodePointer Node::input(const NodeName& name, ElementType type, const Dimensions& shape,
                        bool broadcasts) {
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
                        const List& list) {
  const ElementType type = inputs.size() > 0 ? inputs.front()->type() : ElementType::kFloat32;
  std::shared_ptr<Node> node = make(op, name, type);
  const auto require = [&node](bool condition, std::initializer_list<TextPart> otherwise) {
    if (!condition) failArgument({"node '", node->name_, "' ", text(otherwise)});
  };
  const auto expected = static_cast<std::size_t>(inputsOf(op));
  const char* operatorName = graph::nameOf(op);
  require(expected > 0, {"is ", operatorName, "; it takes an operator"});
  require(inputs.size() == expected,
          {"has ", inputs.size(), " inputs; ", operatorName, " takes ", expected});
  ShortList<Dimensions, 3> shapes;
  for (const NodePointer& input : inputs) {
    require(input->type() == type,
            {"has inputs of float32 and of float64; ", operatorName, " takes those of one"});
    shapes.push_back(input->shape());
  }
  node->shape_ = inferShape(op, node->name_, shapes, list);
  node->inputs_ = inputs;
  node->list_ = list;
  return node;
}

std::vector<const Node*> inOrder(std::span<const NodePointer> outputs) {
  // Those that are still to come, a heap with the one that was made last on top. What a node needs was made before it, so
  // that all who need a node come before it, too: one after another, if it is there more than once.
  std::vector<const Node*> open;
  const auto wasMadeBefore = [](const Node* left, const Node* right) {
    return left->id() < right->id();
  };
  const auto add = [&](std::span<const NodePointer> nodes) {
    for (const NodePointer& pointer : nodes) {
      const Node* node = pointer.get();
      open.push_back(node);
      std::push_heap(open.begin(), open.end(), wasMadeBefore);
    }
  };
  add(outputs);
  std::vector<const Node*> order;
  while (!open.empty()) {
    std::pop_heap(open.begin(), open.end(), wasMadeBefore);
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
  for (const Node* node : inOrder(output)) {
    result += text({node->name(), " ", toString(node->shape()), " = ", nameOf(node->op()), "("});
    const char* separator = "";
    for (const NodePointer& input : node->inputs()) {
      result += text({separator, input->name()});
      separator = ", ";
    }
    for (const Index number : node->list()) {
      result += text({separator, number});
      separator = " ";
    }
    result += ")\n";
  }
  return result;
}

}  // namespace cross_attention::graph
