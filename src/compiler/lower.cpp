#include <algorithm>

#include "compiler/program.hpp"
#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::compiler {

namespace {

using graph::Dimension;
using graph::Dimensions;
using graph::Node;
using graph::NodePointer;
using graph::Operator;

/// Few enough to be looked for one by one.
template <class Key, class Value>
class Table {
 public:
  /// Null where it is not there.
  const Value* find(const Key& key) const {
    for (const auto& [known, value] : rows_) {
      if (known == key) return &value;
    }
    return nullptr;
  }
  /// What was there before stays.
  Value add(const Key& key, const Value& value) {
    if (const Value* known = find(key)) return *known;
    rows_.emplace_back(key, value);
    return value;
  }

 private:
  std::vector<std::pair<Key, Value>> rows_;
};

/// Builds one program.
class Lowering {
 public:
  explicit Lowering(const Binding& binding) : binding_(binding) {}

  Program run() {
    program_.type = binding_.output->type();
    checkInputs();
    for (std::size_t number = 0; number < binding_.inputs.size(); ++number) addInput(number);
    for (const NodePointer& node : graph::inOrder({binding_.output})) addNode(node);
    program_.output = inFormOfInput(*places_.find(binding_.output.get()));
    return std::move(program_);
  }

 private:
  void checkInputs() const {
    if (binding_.shapes.size() != binding_.inputs.size()) {
      failArgument({"inputShapes has ", binding_.shapes.size(), " shapes; it takes one for each of the ",
                         binding_.inputs.size(), " inputs"});
    }
    for (auto input = binding_.inputs.begin(); input != binding_.inputs.end(); ++input) {
      if ((*input)->op() != Operator::kInput) {
        failArgument({"inputs holds node '", (*input)->name(), "', which is ",
                           nameOf((*input)->op()), "; it takes nodes that are Input"});
      }
      if (std::find(binding_.inputs.begin(), input, *input) != input) {
        failArgument({"inputs holds node '", (*input)->name(), "' twice; it takes it once"});
      }
    }
  }

  [[noreturn]] static void failInput(const Node& node, const Shape& shape, const std::string& why) {
    failShape({"inputShapes has ", shape, " for node '", node.name(), "' of shape ",
               toString(node.shape()), "; ", why});
  }

  /// The given tensor as it is, then in the form that the graph takes.
  void addInput(std::size_t number) {
    const Node& node = *binding_.inputs[number];
    const Shape& shape = binding_.shapes[number];
    Operation given;
    given.op = binding_.constants[number] ? Operator::kConstant : Operator::kInput;
    given.name = node.name();
    given.shape = shape;
    given.input = static_cast<int>(number);
    given.tensor = binding_.constants[number];
    program_.operations.push_back(std::move(given));
    int place = program_.size() - 1;
    const auto rank = static_cast<int>(node.shape().size());
    if (node.broadcasts() && rank == 4 && shape.rank() == 2) {
      // A key mask: log(1) = 0 is added to the scores of keys that are attended to, log(0) = -infinity to the others'.
      place = program_.add(Operator::kLog, node.name(), {place});
      place = program_.add(Operator::kReshape, node.name(), {place},
                           {shape[0], 1, 1, shape[1]});
    } else if (rank == 3 && shape.rank() == 4) {
      place = program_.add(Operator::kReshape, node.name(), {place},
                           {shape[0], shape[1], shape[2] * shape[3]});
      place = program_.add(Operator::kTranspose, node.name(), {place}, {0, 2, 1});
      noteForm(node, shape);
    } else if (rank == 3 && shape.rank() == 2) {
      place = program_.add(Operator::kReshape, node.name(), {place},
                           {1, shape[0], shape[1]});
      noteForm(node, shape);
    } else if (shape.rank() != rank) {
      failInput(node, shape, "it takes as many dimensions");
    }
    bindSizes(node, shape, program_.at(place).shape);
    places_.add(&node, place);
  }

  void noteForm(const Node& node, const Shape& shape) {
    if (!node.shape()[1].isNumber()) forms_.add(node.shape()[1].name(), shape);
  }

  void bindSizes(const Node& node, const Shape& given, const Shape& shape) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const Dimension& dimension = node.shape()[static_cast<std::size_t>(axis)];
      const Index size = shape[axis];
      const bool mayBeOne = node.broadcasts() || axis == 0;
      if (dimension.isNumber()) {
        if (size != dimension.number() && !(size == 1 && node.broadcasts())) {
          failInput(node, given, text({"its dimension ", axis, " is ", size}));
        }
        continue;
      }
      if (node.broadcasts() && size == 1) continue;
      const Index known = sizes_.add(dimension.name(), size);
      if (size != known && !(size == 1 && mayBeOne)) {
        failInput(node, given, text({"its ", dimension.name(), " is ", size,
                                     ", but that of another input is ", known}));
      }
    }
  }

  void addNode(const NodePointer& pointer) {
    const Node& node = *pointer;
    if (places_.find(&node) != nullptr) return;
    if (node.op() == Operator::kInput) {
      failArgument({"node '", node.name(), "' is an input of the graph that inputs does not hold; it takes all of them"});
    }
    if (node.op() == Operator::kConstant) {
      Operation constant;
      constant.name = node.name();
      constant.shape = graph::toShape(node.shape(), node.name().c_str());
      constant.constant = node.elements();
      program_.operations.push_back(std::move(constant));
      places_.add(&node, program_.size() - 1);
      return;
    }
    std::vector<int> inputs;
    for (const NodePointer& input : node.inputs()) inputs.push_back(*places_.find(input.get()));
    places_.add(&node, program_.add(node.op(), node.name(), std::move(inputs), node.list()));
  }

  /// Tokens [B, N, C] with the tokens of an input that was an image, or [N, C], as such.
  int inFormOfInput(int place) {
    const Node& node = *binding_.output;
    if (node.shape().size() != 3 || node.shape()[1].isNumber()) return place;
    const Shape* form = forms_.find(node.shape()[1].name());
    if (form == nullptr) return place;
    const Shape& shape = *form;
    const Index channels = program_.at(place).shape[2];
    if (shape.rank() == 2) {
      return program_.add(Operator::kReshape, node.name(), {place},
                          {shape[0], channels});
    }
    place = program_.add(Operator::kTranspose, node.name(), {place}, {0, 2, 1});
    return program_.add(Operator::kReshape, node.name(), {place},
                        {shape[0], channels, shape[2], shape[3]});
  }

  const Binding& binding_;
  Program program_;
  Table<const Node*, int> places_;
  Table<std::string, Index> sizes_;
  /// What an input with so named tokens was given as.
  Table<std::string, Shape> forms_;
};

}  // namespace

Program lower(const Binding& binding) { return Lowering(binding).run(); }

}  // namespace cross_attention::compiler
