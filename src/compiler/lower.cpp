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

/// perm: tokens and channels change places.
constexpr graph::List kSwapped{0, 2, 1};

/// Builds one program.
class Lowering {
 public:
  Lowering(const Source& source, const NodePointer& output, Program& program)
      : program_(program),
        source_(source),
        output_(*output),
        nodes_(graph::inOrder(output)),
        places_(nodes_.size(), -1),
        sizes_(Dimension::names(), -1),
        forms_(Dimension::names(), -1) {}

  void run() {
    program_.type = output_.type();
    checkInputs();
    for (std::size_t number = 0; number < source_.inputs.size(); ++number) addInput(number);
    for (std::size_t number = 0; number < nodes_.size(); ++number) {
      if (places_[number] < 0) places_[number] = addNode(*nodes_[number]);
    }
    program_.output = inFormOfInput(places_.back());
  }

 private:
  void checkInputs() const {
    const auto& inputs = source_.inputs;
    if (source_.tensors.size() != inputs.size()) {
      failArgument({"inputShapes has ", source_.tensors.size(),
                    " shapes; it takes one for each of the ", inputs.size(), " inputs"});
    }
    for (auto input = inputs.begin(); input != inputs.end(); ++input) {
      const Node& node = **input;
      if (node.op() != Operator::kInput) {
        failArgument({"inputs holds node '", node.name(), "', which is ", nameOf(node.op()),
                      "; it takes nodes that are Input"});
      }
      if (std::find(inputs.begin(), input, *input) != input) {
        failNode("inputs holds node '", node, "' twice; it takes it once");
      }
    }
  }

  [[noreturn]] static void failNode(const char* before, const Node& node, const char* after) {
    failArgument({before, node.name(), after});
  }

  [[noreturn]] static void failInput(const Node& node, const Shape& shape,
                                     std::initializer_list<TextPart> why) {
    failShape({"inputShapes has ", shape, " for node '", node.name(), "' of shape ",
               toString(node.shape()), "; ", text(why)});
  }

  /// Of a node in the program; it is not there where the output does not need it.
  int& placeOf(const Node& node) {
    const auto found = std::find(nodes_.begin(), nodes_.end(), &node);
    return found == nodes_.end() ? unused_
                                 : places_[static_cast<std::size_t>(found - nodes_.begin())];
  }

  /// What an operator makes of the value at `place`.
  int derive(Operator op, const Node& node, int place, const graph::List& list) {
    Inputs inputs;
    inputs.push_back(place);
    return program_.add(op, node.name(), inputs, list);
  }

  /// The given tensor as it is, then in the form that the graph takes.
  void addInput(std::size_t number) {
    const Node& node = *source_.inputs[number];
    const AnyTensor& tensor = source_.tensors[number];
    const Shape& shape = tensor.shape();
    Operation given{.op = Operator::kInput,
                    .name = node.name(),
                    .shape = shape,
                    .input = static_cast<int>(number)};
    if (std::ranges::find(source_.constants, given.input) != source_.constants.end()) {
      given.op = Operator::kConstant;
      program_.keep(given, tensor);
    }
    int place = program_.add(given);
    const auto rank = static_cast<int>(node.shape().size());
    if (node.broadcasts() && rank == 4 && shape.rank() == 2) {
      // A key mask: log(1) = 0 is added to the scores of keys that are attended to, log(0) = -infinity to the others'.
      place = derive(Operator::kLog, node, place, {});
      place = derive(Operator::kReshape, node, place, {shape[0], 1, 1, shape[1]});
    } else if (rank == 3 && (shape.rank() == 4 || shape.rank() == 2)) {
      if (shape.rank() == 4) {
        place = derive(Operator::kReshape, node, place, {shape[0], shape[1], shape[2] * shape[3]});
        place = derive(Operator::kTranspose, node, place, kSwapped);
      } else {
        place = derive(Operator::kReshape, node, place, {1, shape[0], shape[1]});
      }
      const Dimension tokens = node.shape()[1];
      if (!tokens.isNumber() && forms_[tokens.place()] < 0) forms_[tokens.place()] = given.input;
    } else if (shape.rank() != rank) {
      failInput(node, shape, {"it takes as many dimensions"});
    }
    bindSizes(node, shape, program_.at(place).shape);
    placeOf(node) = place;
  }

  void bindSizes(const Node& node, const Shape& given, const Shape& shape) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const Dimension dimension = node.shape()[static_cast<std::size_t>(axis)];
      const Index size = shape[axis];
      if (size == 1 && node.broadcasts()) continue;
      if (dimension.isNumber()) {
        if (size != dimension.number()) {
          failInput(node, given, {"its dimension ", axis, " is ", size});
        }
        continue;
      }
      Index& known = sizes_[dimension.place()];
      if (known < 0) known = size;
      if (size != known && !(size == 1 && axis == 0)) {
        failInput(
            node, given,
            {"its ", dimension.name(), " is ", size, ", but that of another input is ", known});
      }
    }
  }

  int addNode(const Node& node) {
    if (node.op() == Operator::kInput) {
      failNode("node '", node,
               "' is an input of the graph that inputs does not hold; it takes all of them");
    }
    if (node.op() == Operator::kConstant) {
      return program_.add({.name = node.name(),
                           .shape = graph::toShape(node.shape(), node.name()),
                           .owner = node.elements().owner.get(),
                           .part = node.elements().part});
    }
    Inputs inputs;
    for (const NodePointer& input : node.inputs()) inputs.push_back(placeOf(*input));
    return program_.add(node.op(), node.name(), inputs, node.list());
  }

  /// Tokens [B, N, C] with the tokens of an input that was an image, or [N, C], as such.
  int inFormOfInput(int place) {
    if (output_.shape().size() != 3 || output_.shape()[1].isNumber()) return place;
    const int form = forms_[output_.shape()[1].place()];
    if (form < 0) return place;
    const Shape& shape = source_.tensors[static_cast<std::size_t>(form)].shape();
    const Index channels = program_.at(place).shape[2];
    if (shape.rank() == 2) {
      return derive(Operator::kReshape, output_, place, {shape[0], channels});
    }
    place = derive(Operator::kTranspose, output_, place, kSwapped);
    return derive(Operator::kReshape, output_, place, {shape[0], channels, shape[2], shape[3]});
  }

  Program& program_;
  const Source& source_;
  const Node& output_;
  std::vector<const Node*> nodes_;
  std::vector<int> places_;  ///< of the nodes, in the program
  int unused_ = -1;
  // By the places of names; -1 where nothing is known.
  std::vector<Index> sizes_;
  std::vector<int> forms_;  ///< of tokens: the input that was given as an image or as [N, C]
};

}  // namespace

Program lower(const Source& source, const NodePointer& output) {
  Program program;
  Lowering(source, output, program).run();
  return program;
}

}  // namespace cross_attention::compiler
