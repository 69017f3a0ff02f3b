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
inline constexpr ElementType kElementType = sizeof(T) == 4 ? ElementType::kFloat32
                                                           : ElementType::kFloat64;
/// "float32", "float64"
const char* nameOf(ElementType type);
constexpr std::size_t bytesOf(ElementType type) {
  return type == ElementType::kFloat32 ? sizeof(float) : sizeof(double);
}

/// Whose elements constants are: they are not copied. A layer, for its parameters.
class ConstantOwner {
 public:
  virtual ~ConstantOwner() = default;
  /// For people.
  virtual const std::string& name() const = 0;
  /// False once it was disposed of: then there are no elements any more.
  virtual bool isAlive() const = 0;
  /// Counts the changes of the elements.
  virtual std::uint64_t version() const = 0;
  /// The elements of its constant `part`, row by row, while it is alive.
  virtual const void* elements(int part) const = 0;
  /// Something that reads the elements is under way: it is finished before they change or go.
  virtual void finishBeforeChange(const std::shared_ptr<Finishable>& pending) const = 0;
  /// Whether this is a layer::LayerConstants of the constants' type.
  virtual bool isLayer() const { return false; }
};

/// The elements of a Constant.
struct Constant {
  std::shared_ptr<const ConstantOwner> owner;
  int part = 0;

  const void* elements() const { return owner->elements(part); }
  bool operator==(const Constant& other) const = default;
};

class Node;
using NodePointer = std::shared_ptr<const Node>;
/// No operator takes more.
using NodeInputs = ShortList<NodePointer, 3>;

/// A node's name: by itself, or "layer.name".
struct NodeName {
  NodeName(const char* given) : name(given) {}
  NodeName(std::string_view given) : name(given) {}
  NodeName(std::string_view layerName, std::string_view given) : layer(layerName), name(given) {}

  std::string_view layer;
  std::string_view name;
};

/// A node of a computation graph and the one value that comes out of it. Never changes after it was made, from nodes that
/// were made before: so a graph has no cycles.
class Node {
 public:
  /// A value that is given at run time. `broadcasts`: any of its dimensions may be 1 then.
  static NodePointer input(const NodeName& name, ElementType type, const Dimensions& shape,
                           bool broadcasts = false);
  static NodePointer constant(const NodeName& name, ElementType type, const Dimensions& shape,
                              const Constant& elements);
  /// `list`: see Operator. Infers the shape; throws kShape or kArgument, naming the node, where the inputs do not fit.
  static NodePointer apply(Operator op, const NodeName& name, const NodeInputs& inputs,
                           const List& list = {});

  /// A number that no other node has, above those of its inputs.
  std::uint64_t id() const { return id_; }
  Operator op() const { return op_; }
  const std::string& name() const { return name_; }
  ElementType type() const { return type_; }
  const Dimensions& shape() const { return shape_; }
  const NodeInputs& inputs() const { return inputs_; }
  const List& list() const { return list_; }
  bool broadcasts() const { return broadcasts_; }
  /// Of a Constant.
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
  List list_;
  Constant elements_;
};

/// The outputs and all that they need, in the order in which they were made: each after its inputs. They live as long as
/// the outputs.
std::vector<const Node*> inOrder(std::span<const NodePointer> outputs);
inline std::vector<const Node*> inOrder(const NodePointer& output) {
  return inOrder(std::span(&output, 1));
}

/// A line a node: "scores [batch, 8, tokens, contextLength] = MatMul(query.heads, key.heads)".
std::string print(const NodePointer& output);

}  // namespace cross_attention::graph
