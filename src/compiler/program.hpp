#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.hpp"
#include "graph/node.hpp"

namespace cross_attention::compiler {

/// One operation of a program and the value that comes out of it, all sizes known.
struct Operation {
  graph::Operator op = graph::Operator::kConstant;
  std::string name;
  std::vector<int> inputs;  ///< earlier operations, by their places
  std::vector<std::int64_t> list;  ///< see graph::Operator
  Shape shape;
  int input = -1;  ///< of an Input: its place among the graph's inputs
  /// Of a Constant: whose it is, or nobody's where `tensor` has its elements.
  graph::Constant constant;
  /// Of a Constant that was given or computed.
  std::optional<AnyTensor> tensor = {};
  /// Of an attention: the layer whose parameters it takes. Its inputs are input, context and, if any, mask.
  std::shared_ptr<const graph::ConstantOwner> layer;

  bool isConstant() const { return op == graph::Operator::kConstant; }
  bool isGiven() const { return isConstant() || op == graph::Operator::kInput; }
};

/// A graph with all its sizes, as passes work on it: each operation after its inputs.
struct Program {
  graph::ElementType type = graph::ElementType::kFloat32;
  std::vector<Operation> operations;
  int output = 0;

  Operation& at(int place) { return operations[static_cast<std::size_t>(place)]; }
  const Operation& at(int place) const { return operations[static_cast<std::size_t>(place)]; }
  int size() const { return static_cast<int>(operations.size()); }
  /// An operation after all others, its shape inferred from the inputs. Returns its place.
  int add(graph::Operator op, std::string name, std::vector<int> inputs,
          std::vector<std::int64_t> list = {});
  /// The operation's input, if it is of that kind and has that list; else null.
  const Operation* inputOf(const Operation& operation, int number, graph::Operator op,
                           std::span<const std::int64_t> list = {}) const;
};

/// What a graph is compiled for.
struct Binding {
  graph::NodePointer output;
  std::vector<graph::NodePointer> inputs;
  std::vector<Shape> shapes;  ///< one an input
  /// One an input: a tensor of its type that stays the same in all runs, or none.
  std::vector<std::optional<AnyTensor>> constants;
};

/// The program of a graph. An input may be given in the forms that the layer takes, too: tokens [batch, tokens, C] as an
/// image [B, C, H, W] or as [N, C], and a mask as a key mask [B | 1, L]; they are turned into the graph's by operations,
/// and an output with the tokens of such an input is turned back. The first input with a named size sets it; the batch of
/// the later ones may be 1. Throws kShape or kArgument, naming the node, where a shape does not fit, an input is missing,
/// no input, or there twice.
Program lower(const Binding& binding);

/// Multiplications and additions of its products.
double flopsOf(const Program& program, const Operation& operation);
double flopsOf(const Program& program);

}  // namespace cross_attention::compiler
