#pragma once

#include <string_view>
#include <vector>

#include "core/tensor.hpp"
#include "graph/node.hpp"

namespace cross_attention::compiler {

/// A tensor without elements that stands for one of this shape.
inline AnyTensor placeholder(const Shape& shape) { return AnyTensor(shape, nullptr, 0); }

/// No operator takes more.
using Inputs = graph::ShortList<int, 3>;

/// One operation of a program and the value that comes out of it, all sizes known. Names and owners are those of the
/// graph, which lives as long as its programs.
struct Operation {
  graph::Operator op = graph::Operator::kConstant;
  std::string_view name = {};
  Inputs inputs = {};     ///< earlier operations, by their places
  graph::List list = {};  ///< see graph::Operator
  Shape shape = {};
  int input = -1;  ///< of an Input: its place among the graph's inputs
  /// Of a Constant of the graph: whose `part` it is. Of an attention, whose inputs are input, context and, if any, mask: the
  /// layer whose parameters it takes.
  const graph::ConstantOwner* owner = nullptr;
  int part = -1;
  /// Its place among the program's tensors. Of those that are not Constants only once the program is planned; a Constant of
  /// the graph has none.
  int tensor = -1;

  bool isConstant() const { return op == graph::Operator::kConstant; }
  bool isGiven() const { return isConstant() || op == graph::Operator::kInput; }
};

/// A graph with all its sizes, as passes work on it: each operation after its inputs.
struct Program {
  graph::ElementType type = graph::ElementType::kFloat32;
  std::vector<Operation> operations;
  std::vector<AnyTensor> tensors;
  int output = 0;

  Operation& at(int place) { return operations[static_cast<std::size_t>(place)]; }
  const Operation& at(int place) const { return operations[static_cast<std::size_t>(place)]; }
  int size() const { return static_cast<int>(operations.size()); }
  /// After all others. Returns its place.
  int add(const Operation& operation);
  /// The same, its shape inferred from the inputs.
  int add(graph::Operator op, std::string_view name, const Inputs& inputs,
          const graph::List& list = {});
  /// From now on the operation has its elements from this tensor.
  void keep(Operation& operation, const AnyTensor& tensor);
  /// The operation's input, if it is of that kind and has that list; else null.
  const Operation* inputOf(const Operation& operation, std::size_t number, graph::Operator op,
                           const graph::List& list = {}) const;
  AnyTensor& tensorOf(const Operation& operation) {
    return tensors[static_cast<std::size_t>(operation.tensor)];
  }
  const AnyTensor& tensorOf(const Operation& operation) const {
    return tensors[static_cast<std::size_t>(operation.tensor)];
  }
  const void* elements(const Operation& operation) const;
};

/// A graph to be compiled: its outputs, what they are computed from, and for which sizes.
struct Source {
  std::vector<graph::NodePointer> outputs;
  std::vector<graph::NodePointer> inputs;
  std::vector<AnyTensor>
      tensors;  ///< one an input, of the shape that it has in all runs; placeholders but for constants
  std::vector<int>
      constants;  ///< the inputs whose tensors stay the same in all runs, by their places
};

/// The program of one output. An input may be given in the forms that the layer takes, too: tokens [batch, tokens, C] as an
/// image [B, C, H, W] or as [N, C], and a mask as a key mask [B | 1, L]; they are turned into the graph's by operations,
/// and an output with the tokens of such an input is turned back. The first input with a named size sets it; the batch of
/// the later ones may be 1. Throws kShape or kArgument, naming the node, where a shape does not fit, an input is missing,
/// no input, or there twice.
Program lower(const Source& source, const graph::NodePointer& output);

/// Multiplications and additions of its products.
double flopsOf(const Program& program, const Operation& operation);
double flopsOf(const Program& program);

}  // namespace cross_attention::compiler
