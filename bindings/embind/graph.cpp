#include <emscripten/bind.h>

#include <algorithm>

#include "embind/arrays.hpp"
#include "embind/graph_nodes.hpp"
#include "embind/push.hpp"
#include "layer/computation_graph.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::val;
using graph::NodePointer;

GraphNodes* exportAny(const layer::AnyLayer& layer, const layer::GraphOptions& options) {
  graph::NodeInputs inputs;
  return new GraphNodes(layer::exportComputationGraph(layer, options, inputs));
}

/// Exports a layer as a graph. `mask`: the name of its input, empty for none. If `shared` is not null, its
/// nodes `context` and, unless it is -1, `sharedMask` are those of this graph too. The caller owns the
/// result.
template <class T>
GraphNodes* exportGraph(const layer::DiffusionCrossAttention<T>& layer, const std::string& name,
                        const std::string& mask, bool isKeyMask, const std::string& input,
                        const std::string& tokens, const GraphNodes* shared, int context, int sharedMask) {
  return exportAny(layer, {.name = name,
                           .mask = !mask.empty(),
                           .maskName = mask,
                           .isKeyMask = isKeyMask,
                           .input = input,
                           .tokens = tokens,
                           .context = shared == nullptr ? nullptr : shared->at(context),
                           .sharedMask = sharedMask < 0 ? nullptr : shared->at(sharedMask)});
}

int sizeOf(const GraphNodes& nodes) { return static_cast<int>(nodes.nodes.size()); }

/// Returns [op, name, dtype, broadcasts, indices of the inputs, attributes, shape].
val describe(const GraphNodes& nodes, int index) {
  const graph::Node& node = nodes[index];
  const val inputs = val::array();
  for (const NodePointer& input : node.inputs()) {
    const auto found = std::find(nodes.nodes.begin(), nodes.nodes.end(), input.get());
    push(inputs, static_cast<double>(found - nodes.nodes.begin()));
  }
  const val attributes = val::array();
  for (const Index number : node.attributes()) push(attributes, static_cast<double>(number));
  const val shape = val::array();
  for (const graph::Dimension dimension : node.shape()) {
    if (dimension.isNumber()) {
      push(shape, static_cast<double>(dimension.number()));
    } else {
      push(shape, dimension.name());
    }
  }
  val result = val::array();
  push(result, nameOf(node.op()));
  push(result, node.name());
  push(result, nameOf(node.type()));
  push(result, val(node.broadcasts()));
  push(result, inputs);
  push(result, attributes);
  push(result, shape);
  return result;
}

/// Returns a view of a Constant's elements, or undefined if its layer was disposed.
val view(const GraphNodes& nodes, int index) {
  const graph::Node& node = nodes[index];
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
  emscripten::function("exportGraphFloat32", &exportGraph<float>, emscripten::allow_raw_pointers());
  emscripten::function("exportGraphFloat64", &exportGraph<double>, emscripten::allow_raw_pointers());
}

}  // namespace cross_attention::embind
