#include <emscripten/bind.h>

#include "embind/arrays.hpp"
#include "embind/errors.hpp"
#include "embind/graph_nodes.hpp"
#include "layer/computation_graph.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::val;
using graph::NodePointer;

std::string textOf(const val& object, const char* name) { return object[name].as<std::string>(); }

/// options: {name, mask, input, tokens}; `context`: a node of another graph to be shared, or null.
template <class T>
GraphNodes exportGraph(const layer::DiffusionCrossAttention<T>& layer, const val& options,
                       const GraphNodes* shared, double context) {
  return guarded([&] {
    layer::GraphOptions graphOptions{.name = textOf(options, "name"),
                                     .mask = options["mask"].as<bool>(),
                                     .input = textOf(options, "input"),
                                     .tokens = textOf(options, "tokens"),
                                     .context = shared == nullptr ? nullptr : shared->at(context)};
    std::vector<NodePointer> inputs;
    const NodePointer output = layer::exportComputationGraph(layer, graphOptions, inputs);
    return GraphNodes{graph::inOrder({output})};
  });
}

double sizeOf(const GraphNodes& nodes) { return static_cast<double>(nodes.nodes.size()); }

/// {op, name, dtype, shape, list, broadcasts, inputs: their places}
val describe(const GraphNodes& nodes, double place) {
  const graph::Node& node = *nodes.at(place);
  val shape = val::array();
  for (const graph::Dimension& dimension : node.shape()) {
    if (dimension.isNumber()) {
      shape.call<void>("push", static_cast<double>(dimension.number()));
    } else {
      shape.call<void>("push", dimension.name());
    }
  }
  val list = val::array();
  for (const std::int64_t number : node.list()) list.call<void>("push", static_cast<double>(number));
  val inputs = val::array();
  for (const NodePointer& input : node.inputs()) {
    const auto found = std::find(nodes.nodes.begin(), nodes.nodes.end(), input);
    inputs.call<void>("push", static_cast<double>(found - nodes.nodes.begin()));
  }
  val result = val::object();
  result.set("op", std::string(nameOf(node.op())));
  result.set("name", node.name());
  result.set("dtype", std::string(nameOf(node.type())));
  result.set("shape", shape);
  result.set("list", list);
  result.set("broadcasts", node.broadcasts());
  result.set("inputs", inputs);
  return result;
}

/// A Constant's elements where they are; undefined where their layer was disposed of.
val view(const GraphNodes& nodes, double place) {
  const graph::Node& node = *nodes.at(place);
  if (!node.elements().owner->isAlive()) return val::undefined();
  const auto size = static_cast<std::size_t>(graph::toShape(node.shape(), "the constant").size());
  const void* elements = node.elements().elements();
  if (node.type() == graph::ElementType::kFloat32) {
    return val(emscripten::typed_memory_view(size, static_cast<const float*>(elements)));
  }
  return val(emscripten::typed_memory_view(size, static_cast<const double*>(elements)));
}

}  // namespace

EMSCRIPTEN_BINDINGS(graph) {
  emscripten::class_<GraphNodes>("GraphNodes")
      .function("size", &sizeOf)
      .function("describe", &describe)
      .function("view", &view);
  emscripten::function("exportGraphFloat32", &exportGraph<float>,
                       emscripten::allow_raw_pointers());
  emscripten::function("exportGraphFloat64", &exportGraph<double>,
                       emscripten::allow_raw_pointers());
}

}  // namespace cross_attention::embind
