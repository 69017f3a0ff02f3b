#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/pending_work.hpp"
#include "graph/dimension.hpp"
#include "graph/operator.hpp"

namespace cross_attention::graph {

enum class ElementType : std::uint8_t { kFloat32, kFloat64 };
template <class T>
inline constexpr ElementType kElementType = sizeof(T) == 4 ? ElementType::kFloat32 : ElementType::kFloat64;
/// Returns "float32" or "float64".
const char* nameOf(ElementType type);
constexpr std::size_t bytesOf(ElementType type) {
  return type == ElementType::kFloat32 ? sizeof(float) : sizeof(double);
}

/// Owns the elements of constants, which are not copied: a layer, for its parameters.
class ConstantOwner {
 public:
  virtual ~ConstantOwner() = default;
  /// The name, for error messages.
  virtual const std::string& name() const = 0;
  /// False after the owner was disposed. Its elements no longer exist then.
  virtual bool isAlive() const = 0;
  /// A counter that increases when the elements change.
  virtual std::uint64_t version() const = 0;
  /// Returns the elements of constant `part`, in row-major order. Requires isAlive().
  virtual const void* elements(int part) const = 0;
  /// Registers work that reads the elements. The owner finishes it before the elements change or are freed.
  virtual void finishBeforeChange(const std::shared_ptr<Finishable>& pending) const = 0;
  /// True if this is a layer::LayerConstants of the constants' type.
  virtual bool isLayer() const { return false; }
};

/// Refers to the elements of a Constant node.
struct Constant {
  std::shared_ptr<const ConstantOwner> owner;
  int part = 0;

  const void* elements() const { return owner->elements(part); }
  bool operator==(const Constant& other) const = default;
};

class Node;
using NodePointer = std::shared_ptr<const Node>;
/// The inputs of a node. No operator has more than three.
using NodeInputs = InlineVector<NodePointer, 3>;

/// A node's name: either "name" or "layer.name".
struct NodeName {
  NodeName(const char* nodeName) : name(nodeName) {}
  NodeName(std::string_view nodeName) : name(nodeName) {}
  NodeName(std::string_view layerName, std::string_view nodeName) : layer(layerName), name(nodeName) {}

  std::string_view layer;
  std::string_view name;
};

/// A node of a computation graph and its one output value. Immutable. Nodes are created only from existing
/// nodes, so graphs have no cycles.
class Node {
 public:
  /// Creates an input, whose value is passed at run time. `broadcasts`: any of its dimensions may then be 1.
  static NodePointer input(const NodeName& name, ElementType type, const Dimensions& shape,
                           bool broadcasts = false);
  static NodePointer constant(const NodeName& name, ElementType type, const Dimensions& shape,
                              const Constant& elements);
  /// Creates a node that applies an operator to inputs, and infers its shape. `attributes`: see Operator.
  /// Throws kShape or kArgument, naming the node, if the inputs are invalid.
  static NodePointer apply(Operator op, const NodeName& name, const NodeInputs& inputs,
                           const Attributes& attributes = {});

  /// A unique number, greater than those of the inputs.
  std::uint64_t id() const { return id_; }
  Operator op() const { return op_; }
  const std::string& name() const { return name_; }
  ElementType type() const { return type_; }
  const Dimensions& shape() const { return shape_; }
  const NodeInputs& inputs() const { return inputs_; }
  const Attributes& attributes() const { return attributes_; }
  bool broadcasts() const { return broadcasts_; }
  /// Requires that this is a Constant.
  const Constant& elements() const { return elements_; }

 private:
  Node(Operator op, const NodeName& name, ElementType type);
  static std::shared_ptr<Node> make(Operator op, const NodeName& name, ElementType type);

  std::uint64_t id_;
  Operator op_;
  ElementType type_;
  bool broadcasts_ = false;
  std::string name_;
  Dimensions shape_;
  NodeInputs inputs_;
  Attributes attributes_;
  Constant elements_;
};

/// Returns the outputs and all nodes that they depend on, in order of creation, so that each follows its
/// inputs. The pointers are valid as long as the outputs exist.
std::vector<const Node*> topologicalOrder(std::span<const NodePointer> outputs);
inline std::vector<const Node*> topologicalOrder(const NodePointer& output) {
  return topologicalOrder(std::span(&output, 1));
}

/// Formats a graph with one line per node, such as "scores [batch, 8, tokens, contextLength] =
/// MatMul(query.heads, key.heads)".
std::string print(const NodePointer& output);

}  // namespace cross_attention::graph
