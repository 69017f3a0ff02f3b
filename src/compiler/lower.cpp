#include <algorithm>

#include "compiler/program.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::compiler {

namespace {

using graph::Dimension;
using graph::Node;
using graph::NodePointer;
using graph::Operator;

/// The perm that swaps tokens and channels.
constexpr graph::Attributes kSwapped{0, 2, 1};

/// Builds one program.
class Lowering {
 public:
  Lowering(const Source& source, const NodePointer& output, Program& program)
      : program_(program),
        source_(source),
        output_(*output),
        nodes_(graph::topologicalOrder(output)),
        indices_(nodes_.size(), -1),
        sizes_(Dimension::nameCount(), -1),
        layouts_(Dimension::nameCount(), -1) {}

  void run() {
    program_.type = output_.type();
    checkInputs();
    for (std::size_t number = 0; number < source_.inputs.size(); ++number) addInput(number);
    for (std::size_t number = 0; number < nodes_.size(); ++number) {
      if (indices_[number] < 0) indices_[number] = addNode(*nodes_[number]);
    }
    program_.output = inLayoutOfInput(indices_.back());
  }

 private:
  void checkInputs() const {
    const auto& inputs = source_.inputs;
    if (source_.tensors.size() != inputs.size()) {
      failArgument({"inputShapes has ", source_.tensors.size(), " shapes; expected one for each of the ",
                    inputs.size(), " inputs"});
    }
    for (auto input = inputs.begin(); input != inputs.end(); ++input) {
      const Node& node = **input;
      if (node.op() != Operator::kInput) {
        failArgument(
            {"inputs contains node '", node.name(), "' (", nameOf(node.op()), "); expected Input nodes"});
      }
      if (std::find(inputs.begin(), input, *input) != input) {
        failNode("inputs contains node '", node, "' twice; expected it once");
      }
    }
  }

  [[noreturn]] static void failNode(const char* before, const Node& node, const char* after) {
    failArgument({before, node.name(), after});
  }

  [[noreturn]] static void failInput(const Node& node, const Shape& shape,
                                     std::initializer_list<TextPart> why) {
    failShape({"inputShapes has ", shape, " for node '", node.name(), "'; expected ", toString(node.shape()),
               text(why)});
  }

  /// The index of a node in the program; nodes that the output does not need have none.
  int& indexOf(const Node& node) {
    const auto found = std::find(nodes_.begin(), nodes_.end(), &node);
    return found == nodes_.end() ? unused_ : indices_[static_cast<std::size_t>(found - nodes_.begin())];
  }

  /// Appends an operator applied to the value at `index`.
  int derive(Operator op, const Node& node, int index, const graph::Attributes& attributes) {
    Inputs inputs;
    inputs.push_back(index);
    return program_.add(op, node.name(), inputs, attributes);
  }

  /// Appends an input as passed, then its conversion to the layout of the graph.
  void addInput(std::size_t number) {
    const Node& node = *source_.inputs[number];
    const AnyTensor& tensor = source_.tensors[number];
    const Shape& shape = tensor.shape();
    Operation input{
        .op = Operator::kInput, .name = node.name(), .shape = shape, .input = static_cast<int>(number)};
    if (std::ranges::find(source_.constants, input.input) != source_.constants.end()) {
      input.op = Operator::kConstant;
      program_.setTensor(input, tensor);
    }
    int index = program_.add(input);
    const auto rank = static_cast<int>(node.shape().size());
    if (node.broadcasts() && rank == 4 && shape.rank() == 2) {
      // A key mask becomes additive: log(1) = 0 for attended keys, log(0) = -infinity for the others.
      index = derive(Operator::kLog, node, index, {});
      index = derive(Operator::kReshape, node, index, {shape[0], 1, 1, shape[1]});
    } else if (node.broadcasts() && rank == 4 && shape.rank() == 3) {
      index = derive(Operator::kReshape, node, index, {shape[0], 1, shape[1], shape[2]});
    } else if (rank == 3 && (shape.rank() == 4 || shape.rank() == 2)) {
      if (shape.rank() == 4) {
        index = derive(Operator::kReshape, node, index, {shape[0], shape[1], shape[2] * shape[3]});
        index = derive(Operator::kTranspose, node, index, kSwapped);
      } else {
        index = derive(Operator::kReshape, node, index, {1, shape[0], shape[1]});
      }
      const Dimension tokens = node.shape()[1];
      if (!tokens.isNumber() && layouts_[tokens.nameIndex()] < 0) layouts_[tokens.nameIndex()] = input.input;
    } else if (shape.rank() != rank) {
      failInput(node, shape, {});
    }
    bindSizes(node, shape, program_.at(index).shape);
    indexOf(node) = index;
  }

  void bindSizes(const Node& node, const Shape& input, const Shape& shape) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const Dimension dimension = node.shape()[static_cast<std::size_t>(axis)];
      const Index size = shape[axis];
      if (size == 1 && node.broadcasts()) continue;
      if (dimension.isNumber()) {
        if (size != dimension.number()) {
          failInput(node, input, {" (dimension ", axis, " is ", size, ")"});
        }
        continue;
      }
      Index& known = sizes_[dimension.nameIndex()];
      if (known < 0) known = size;
      if (size != known && !(size == 1 && axis == 0)) {
        failInput(node, input,
                  {" (its ", dimension.name(), " is ", size, ", that of another input is ", known, ")"});
      }
    }
  }

  int addNode(const Node& node) {
    if (node.op() == Operator::kInput) {
      failNode("node '", node,
               "' is an input of the graph, but inputs does not contain it; expected all inputs");
    }
    if (node.op() == Operator::kConstant) {
      return program_.add({.name = node.name(),
                           .shape = graph::toShape(node.shape(), node.name()),
                           .owner = node.elements().owner.get(),
                           .part = node.elements().part});
    }
    Inputs inputs;
    for (const NodePointer& input : node.inputs()) inputs.push_back(indexOf(*input));
    return program_.add(node.op(), node.name(), inputs, node.attributes());
  }

  /// Converts an output [B, N, C] to an image or [N, C] if its tokens belong to an input of that layout.
  int inLayoutOfInput(int index) {
    if (output_.shape().size() != 3 || output_.shape()[1].isNumber()) return index;
    const int layout = layouts_[output_.shape()[1].nameIndex()];
    if (layout < 0) return index;
    const Shape& shape = source_.tensors[static_cast<std::size_t>(layout)].shape();
    const Index channels = program_.at(index).shape[2];
    if (shape.rank() == 2) {
      return derive(Operator::kReshape, output_, index, {shape[0], channels});
    }
    index = derive(Operator::kTranspose, output_, index, kSwapped);
    return derive(Operator::kReshape, output_, index, {shape[0], channels, shape[2], shape[3]});
  }

  Program& program_;
  const Source& source_;
  const Node& output_;
  std::vector<const Node*> nodes_;
  std::vector<int> indices_;  ///< program indices of the nodes, or -1
  int unused_ = -1;
  // Indexed by Dimension::nameIndex; -1 if unknown.
  std::vector<Index> sizes_;
  /// The input that was passed as an image or as [N, C] and defines the layout of these tokens.
  std::vector<int> layouts_;
};

}  // namespace

Program lower(const Source& source, const NodePointer& output) {
  Program program;
  Lowering(source, output, program).run();
  return program;
}

}  // namespace cross_attention::compiler
