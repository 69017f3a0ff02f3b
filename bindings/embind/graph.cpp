#include <emscripten/bind.h>

#include <algorithm>

#include "embind/arrays.hpp"
#include "embind/graph_nodes.hpp"
#include "layer/computation_graph.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::val;
using graph::NodePointer;

/// `shared`, `context`: a node of another graph that is this one's context, too; null: none. JavaScript deletes the nodes.
template <class T>
GraphNodes* exportGraph(const layer::DiffusionCrossAttention<T>& layer, const std::string& name,
                        bool mask, const std::string& input, const std::string& tokens,
                        const GraphNodes* shared, int context) {
  std::vector<NodePointer> inputs;
  const layer::GraphOptions options{.name = name,
                                    .mask = mask,
                                    .input = input,
                                    .tokens = tokens,
                                    .context = shared == nullptr ? nullptr : shared->at(context)};
  return new GraphNodes{graph::inOrder({layer::exportComputationGraph(layer, options, inputs)})};
}

int sizeOf(const GraphNodes& nodes) { return static_cast<int>(nodes.nodes.size()); }

/// [op, name, dtype, broadcasts, the inputs' places, list, shape]
val describe(const GraphNodes& nodes, int place) {
  const graph::Node& node = *nodes.at(place);
  std::vector<Index> inputs;
  for (const NodePointer& input : node.inputs()) {
    const auto found = std::find(nodes.nodes.begin(), nodes.nodes.end(), input);
    inputs.push_back(found - nodes.nodes.begin());
  }
  val shape = val::array();
  for (const graph::Dimension& dimension : node.shape()) {
    const val one = dimension.isNumber() ? val(static_cast<int>(dimension.number())) : val(dimension.name());
    shape.call<void>("push", one);
  }
  val result = val::array();
  for (const val& part : {val(nameOf(node.op())), val(node.name()), val(nameOf(node.type())),
                          val(node.broadcasts()), val::array(inputs),
                          val::array(std::vector<Index>(node.list().begin(), node.list().end())), shape}) {
    result.call<void>("push", part);
  }
  return result;
}

/// A Constant's elements where they are; undefined where their layer was disposed of.
val view(const GraphNodes& nodes, int place) {
  const graph::Node& node = *nodes.at(place);
  if (!node.elements().owner->isAlive()) return val::undefined();
  const auto size = static_cast<std::size_t>(graph::toShape(node.shape(), "the constant").size());
  const void* elements = node.elements().elements();
  if (node.type() == graph::ElementType::kFloat32) {
    return toView(std::span(static_cast<const float*>(elements), size));
  }
  return toView(std::span(static_cast<const double*>(elements), size));
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
