#include "layer/computation_graph.hpp"

#include <array>

#include "core/error.hpp"

namespace cross_attention::layer {

namespace {

using graph::Dimensions;
using graph::ElementType;
using graph::Node;
using graph::NodePointer;
using graph::Operator;

/// Dimensions of reshapes that are the layer's.
enum Size : std::int8_t { kHeads = 100, kHeadDim, kChannels };

/// An operator of the layer's graph. Its inputs are places: those of Given, then those of the operators in their order.
struct Row {
  Operator op;
  const char* name;
  std::int8_t first;
  std::int8_t second = -1;
  std::int8_t listSize = 0;
  std::array<std::int8_t, 4> list{};
};

enum Given : std::int8_t { kInput, kContext, kMask, kToQ, kToK, kToV, kToOut, kBias, kScale, kGiven };
static_assert(kScale - kToQ == kParameterCount);

/// q = x·Wqᵀ, k = c·Wkᵀ, v = c·Wvᵀ, out = softmax(scale·q·kᵀ + mask)·v per head, joined, ·Woᵀ + bo.
constexpr std::array kRows{
    Row{Operator::kTranspose, "query.weight", kToQ, -1, 2, {1, 0}},                       // 9
    Row{Operator::kMatMul, "query", kInput, 9},                                           // 10
    Row{Operator::kReshape, "query.split", 10, -1, 4, {0, 0, kHeads, kHeadDim}},          // 11
    Row{Operator::kTranspose, "query.heads", 11, -1, 4, {0, 2, 1, 3}},                    // 12
    Row{Operator::kTranspose, "key.weight", kToK, -1, 2, {1, 0}},                         // 13
    Row{Operator::kMatMul, "key", kContext, 13},                                          // 14
    Row{Operator::kReshape, "key.split", 14, -1, 4, {0, 0, kHeads, kHeadDim}},            // 15
    Row{Operator::kTranspose, "key.heads", 15, -1, 4, {0, 2, 3, 1}},                      // 16
    Row{Operator::kTranspose, "value.weight", kToV, -1, 2, {1, 0}},                       // 17
    Row{Operator::kMatMul, "value", kContext, 17},                                        // 18
    Row{Operator::kReshape, "value.split", 18, -1, 4, {0, 0, kHeads, kHeadDim}},          // 19
    Row{Operator::kTranspose, "value.heads", 19, -1, 4, {0, 2, 1, 3}},                    // 20
    Row{Operator::kMatMul, "products", 12, 16},                                           // 21
    Row{Operator::kMul, "scores", 21, kScale},                                            // 22
    Row{Operator::kAdd, "scores.masked", 22, kMask},                                      // 23
    Row{Operator::kSoftmax, "probabilities", 23, -1, 1, {-1}},                            // 24
    Row{Operator::kMatMul, "attended.heads", 24, 20},                                     // 25
    Row{Operator::kTranspose, "attended.split", 25, -1, 4, {0, 2, 1, 3}},                 // 26
    Row{Operator::kReshape, "attended", 26, -1, 3, {0, 0, kChannels}},                    // 27
    Row{Operator::kTranspose, "projected.weight", kToOut, -1, 2, {1, 0}},                 // 28
    Row{Operator::kMatMul, "projected", 27, 28},                                          // 29
    Row{Operator::kAdd, "output", 29, kBias}};                                            // 30

std::vector<std::int64_t> listOf(const Row& row, const Configuration& configuration) {
  std::vector<std::int64_t> list(row.list.begin(), row.list.begin() + row.listSize);
  for (std::int64_t& number : list) {
    if (number == kHeads) number = configuration.numHeads;
    if (number == kHeadDim) number = configuration.headDim();
    if (number == kChannels) number = configuration.queryDim;
  }
  return list;
}

/// Adds the operators to what is given and returns the last of them.
NodePointer addOperators(const Configuration& configuration, const std::string& prefix,
                         std::vector<NodePointer>& nodes) {
  for (const Row& row : kRows) {
    const auto at = [&](std::int8_t place) { return nodes[static_cast<std::size_t>(place)]; };
    if (row.second == kMask && at(kMask) == nullptr) {
      nodes.push_back(at(row.first));
      continue;
    }
    std::vector<NodePointer> inputs{at(row.first)};
    if (row.second >= 0) inputs.push_back(at(row.second));
    nodes.push_back(
        Node::apply(row.op, prefix + row.name, std::move(inputs), listOf(row, configuration)));
  }
  return nodes.back();
}

NodePointer writeGraph(const Configuration& configuration, const ParameterShapes& shapes,
                       ElementType type, std::shared_ptr<const graph::ConstantOwner> constants,
                       const GraphOptions& options, std::vector<NodePointer>& inputs) {
  const Dimensions contextShape{"batch", "contextLength", configuration.contextDim};
  if (options.context && options.context->shape() != contextShape) {
    failShape({"context is a node of shape ", graph::toString(options.context->shape()),
               "; the layer '", options.name, "' takes ", graph::toString(contextShape)});
  }
  const std::string prefix = options.name + ".";
  std::vector<NodePointer> nodes(kGiven);
  nodes[kInput] = Node::input(options.input, type, {"batch", options.tokens, configuration.queryDim});
  nodes[kContext] = options.context ? options.context : Node::input("context", type, contextShape);
  if (options.mask) {
    nodes[kMask] = Node::input(
        "mask", type, {"batch", configuration.numHeads, options.tokens, "contextLength"}, true);
  }
  for (int part = 0; part <= kScale - kToQ; ++part) {
    const bool isScale = part == kScale - kToQ;
    const auto id = static_cast<ParameterId>(part);
    nodes[static_cast<std::size_t>(kToQ + part)] = Node::constant(
        prefix + (isScale ? "scale" : std::string(nameOf(id))), type,
        isScale ? Dimensions{} : graph::toDimensions(shapes[static_cast<std::size_t>(part)]),
        {constants, part});
  }
  NodePointer output = addOperators(configuration, prefix, nodes);
  inputs.push_back(nodes[kInput]);
  if (!options.context) inputs.push_back(nodes[kContext]);
  if (options.mask) inputs.push_back(nodes[kMask]);
  return output;
}

}  // namespace

template <class T>
LayerConstants<T>::LayerConstants(std::string name, const DiffusionCrossAttention<T>& layer)
    : name_(std::move(name)),
      scale_(static_cast<T>(layer.configuration().softmaxScale())),
      layer_(layer.self()) {}

template <class T>
const void* LayerConstants<T>::elements(int part) const {
  if (part == kScale - kToQ) return &scale_;
  return layer()->parameters().values(static_cast<ParameterId>(part)).data();
}

template <class T>
NodePointer exportComputationGraph(const DiffusionCrossAttention<T>& layer,
                                   const GraphOptions& options,
                                   std::vector<NodePointer>& inputs) {
  return writeGraph(layer.configuration(), layer.parameters().shapes(), graph::kElementType<T>,
                    std::make_shared<LayerConstants<T>>(options.name, layer), options, inputs);
}

template class LayerConstants<float>;
template class LayerConstants<double>;
template NodePointer exportComputationGraph(const DiffusionCrossAttention<float>&,
                                            const GraphOptions&, std::vector<NodePointer>&);
template NodePointer exportComputationGraph(const DiffusionCrossAttention<double>&,
                                            const GraphOptions&, std::vector<NodePointer>&);

}  // namespace cross_attention::layer
