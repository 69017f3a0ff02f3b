#pragma once

#include <string_view>
#include <vector>

#include "core/tensor.hpp"
#include "graph/node.hpp"

namespace cross_attention::compiler {

/// Returns a tensor of this shape without elements.
inline AnyTensor placeholder(const Shape& shape) { return AnyTensor(shape, nullptr, 0); }

/// The inputs of an operation. No operator has more than three.
using Inputs = graph::InlineVector<int, 3>;

/// One operation of a program and its value, with all sizes known. Names and owners belong to the graph,
/// which outlives its programs.
struct Operation {
  graph::Operator op = graph::Operator::kConstant;
  std::string_view name = {};
  /// Indices of earlier operations.
  Inputs inputs = {};
  graph::Attributes attributes = {};  ///< see graph::Operator
  Shape shape = {};
  /// Of an Input: its index among the graph's inputs.
  int input = -1;
  /// Of a Constant of the graph: the owner of its constant `part`. Of an attention, whose inputs are input,
  /// context and optionally mask: the layer whose parameters it uses.
  const graph::ConstantOwner* owner = nullptr;
  int part = -1;
  /// Index among the program's tensors. A Constant of the graph has none; other operations have one after
  /// planning.
  int tensor = -1;

  bool isConstant() const { return op == graph::Operator::kConstant; }
  bool isLeaf() const { return isConstant() || op == graph::Operator::kInput; }
};

/// The passes' representation of a graph, with all sizes known. Each operation follows its inputs.
struct Program {
  graph::ElementType type = graph::ElementType::kFloat32;
  std::vector<Operation> operations;
  std::vector<AnyTensor> tensors;
  int output = 0;

  Operation& at(int index) { return operations[static_cast<std::size_t>(index)]; }
  const Operation& at(int index) const { return operations[static_cast<std::size_t>(index)]; }
  int size() const { return static_cast<int>(operations.size()); }
  /// Appends an operation and returns its index.
  int add(const Operation& operation);
  /// Appends an operation whose shape is inferred from its inputs, and returns its index.
  int add(graph::Operator op, std::string_view name, const Inputs& inputs,
          const graph::Attributes& attributes = {});
  /// Sets the tensor that holds the operation's elements.
  void setTensor(Operation& operation, const AnyTensor& tensor);
  /// Returns input `number` of the operation if it has this operator and these attributes, otherwise null.
  const Operation* inputOf(const Operation& operation, std::size_t number, graph::Operator op,
                           const graph::Attributes& attributes = {}) const;
  AnyTensor& tensorOf(const Operation& operation) {
    return tensors[static_cast<std::size_t>(operation.tensor)];
  }
  const AnyTensor& tensorOf(const Operation& operation) const {
    return tensors[static_cast<std::size_t>(operation.tensor)];
  }
  const void* elements(const Operation& operation) const;
};

/// The compiler's input: a graph's outputs and inputs, and the sizes to compile for.
struct Source {
  std::vector<graph::NodePointer> outputs;
  std::vector<graph::NodePointer> inputs;
  /// One per input, of its shape in all runs. Placeholders, except for constants.
  std::vector<AnyTensor> tensors;
  /// Indices of inputs whose tensors are the same in all runs.
  std::vector<int> constants;
};

/// Lowers one output to a program.
///
/// Inputs may also be passed in the layouts that the layer accepts: tokens [batch, tokens, C] as an image [B,
/// C, H, W] or as [N, C], and a mask as a key mask [B | 1, L]. The program converts them to the graph's
/// layout, and converts an output with the tokens of such an input back. The first input with a named size
/// determines it; the batch of later inputs may be 1.
///
/// Throws kShape or kArgument, naming the node, if a shape is invalid or an input is missing, not an Input or
/// listed twice.
Program lower(const Source& source, const graph::NodePointer& output);

/// Returns the multiplications and additions in matrix products.
double flopsOf(const Program& program, const Operation& operation);
double flopsOf(const Program& program);

}  // namespace cross_attention::compiler
