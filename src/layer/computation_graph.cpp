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
enum Size : std::int16_t { kHeads = 100, kHeadDim, kChannels };

/// An operator of the layer's graph. Its inputs are places: those of Given, then those of the operators in their order.
struct Row {
  Operator op;
  const char* name;
  std::int8_t first;
  std::int8_t second = -1;
  std::int8_t listSize = 0;
  std::array<std::int16_t, 4> list{};
};

enum Given : std::int8_t {
  kInput,
  kContext,
  kMask,
  kToQ,
  kToK,
  kToV,
  kToOut,
  kBias,
  kScale,
  kGiven
};
static_assert(kScale - kToQ == kParameterCount);

/// q = x·Wqᵀ, k = c·Wkᵀ, v = c·Wvᵀ, out = softmax(scale·q·kᵀ + mask)·v per head, joined, ·Woᵀ + bo.
constexpr std::array kRows{
    Row{Operator::kTranspose, "query.weight", kToQ, -1, 2, {1, 0}},               // 9
    Row{Operator::kMatMul, "query", kInput, 9},                                   // 10
    Row{Operator::kReshape, "query.split", 10, -1, 4, {0, 0, kHeads, kHeadDim}},  // 11
    Row{Operator::kTranspose, "query.heads", 11, -1, 4, {0, 2, 1, 3}},            // 12
    Row{Operator::kTranspose, "key.weight", kToK, -1, 2, {1, 0}},                 // 13
    Row{Operator::kMatMul, "key", kContext, 13},                                  // 14
    Row{Operator::kReshape, "key.split", 14, -1, 4, {0, 0, kHeads, kHeadDim}},    // 15
    Row{Operator::kTranspose, "key.heads", 15, -1, 4, {0, 2, 3, 1}},              // 16
    Row{Operator::kTranspose, "value.weight", kToV, -1, 2, {1, 0}},               // 17
    Row{Operator::kMatMul, "value", kContext, 17},                                // 18
    Row{Operator::kReshape, "value.split", 18, -1, 4, {0, 0, kHeads, kHeadDim}},  // 19
    Row{Operator::kTranspose, "value.heads", 19, -1, 4, {0, 2, 1, 3}},            // 20
    Row{Operator::kMatMul, "products", 12, 16},                                   // 21
    Row{Operator::kMul, "scores", 21, kScale},                                    // 22
    Row{Operator::kAdd, "scores.masked", 22, kMask},                              // 23
    Row{Operator::kSoftmax, "probabilities", 23, -1, 1, {-1}},                    // 24
    Row{Operator::kMatMul, "attended.heads", 24, 20},                             // 25
    Row{Operator::kTranspose, "attended.split", 25, -1, 4, {0, 2, 1, 3}},         // 26
    Row{Operator::kReshape, "attended", 26, -1, 3, {0, 0, kChannels}},            // 27
    Row{Operator::kTranspose, "projected.weight", kToOut, -1, 2, {1, 0}},         // 28
    Row{Operator::kMatMul, "projected", 27, 28},                                  // 29
    Row{Operator::kAdd, "output", 29, kBias}};                                    // 30

graph::List listOf(const Row& row, const Configuration& configuration) {
  graph::List list;
  for (int place = 0; place < row.listSize; ++place) {
    Index number = row.list[static_cast<std::size_t>(place)];
    if (number == kHeads) number = configuration.numHeads;
    if (number == kHeadDim) number = configuration.headDim();
    if (number == kChannels) number = configuration.queryDim;
    list.push_back(number);
  }
  return list;
}

/// What is given, then one node an operator.
using Nodes = std::array<NodePointer, kGiven + kRows.size()>;

/// Adds the operators to what is given and returns the last of them.
NodePointer addOperators(const Configuration& configuration, std::string_view layer, Nodes& nodes) {
  std::size_t next = kGiven;
  for (const Row& row : kRows) {
    const NodePointer& first = nodes[static_cast<std::size_t>(row.first)];
    NodePointer& node = nodes[next++];
    if (row.second == kMask && nodes[kMask] == nullptr) {
      node = first;
      continue;
    }
    graph::NodeInputs inputs;
    inputs.push_back(first);
    if (row.second >= 0) inputs.push_back(nodes[static_cast<std::size_t>(row.second)]);
    node = Node::apply(row.op, {layer, row.name}, inputs, listOf(row, configuration));
  }
  return nodes.back();
}

/// Adds the parameters and the scale.
void addConstants(const AnyLayer& layer, std::string_view name, Nodes& nodes) {
  graph::Constant constant{std::make_shared<LayerConstants>(name, layer)};
  for (; constant.part <= kParameterCount; ++constant.part) {
    const auto part = static_cast<std::size_t>(constant.part);
    const bool isScale = constant.part == kParameterCount;
    nodes[kToQ + part] =
        Node::constant({name, isScale ? "scale" : kParameterNames[part]}, layer.type,
                       isScale ? Dimensions{} : graph::toDimensions(layer.shapes[part]), constant);
  }
}

Dimensions batchesOf(std::string_view tokens, Index channels) {
  return {"batch", tokens, channels};
}

}  // namespace

LayerConstants::LayerConstants(std::string_view name, const AnyLayer& layer)
    : name_(name),
      isSingle_(layer.type == ElementType::kFloat32),
      singleScale_(static_cast<float>(layer.configuration.softmaxScale())),
      scale_(layer.configuration.softmaxScale()),
      layer_(layer.self) {}

bool LayerConstants::isAlive() const {
  return isSingle_ ? layer<float>() != nullptr : layer<double>() != nullptr;
}

std::uint64_t LayerConstants::version() const {
  if (!isAlive()) return 0;
  return isSingle_ ? layer<float>()->parameters().version()
                   : layer<double>()->parameters().version();
}

const void* LayerConstants::elements(int part) const {
  if (part == kScale - kToQ) return isSingle_ ? static_cast<const void*>(&singleScale_) : &scale_;
  const auto id = static_cast<ParameterId>(part);
  if (isSingle_) return layer<float>()->parameters().values(id).data();
  return layer<double>()->parameters().values(id).data();
}

void LayerConstants::finishBeforeChange(const std::shared_ptr<Finishable>& pending) const {
  if (isSingle_) return layer<float>()->finishBeforeChange(pending);
  layer<double>()->finishBeforeChange(pending);
}

NodePointer exportComputationGraph(const AnyLayer& layer, const GraphOptions& options,
                                   graph::NodeInputs& inputs) {
  const Configuration& configuration = layer.configuration;
  const Dimensions contextShape = batchesOf("contextLength", configuration.contextDim);
  if (options.context && options.context->shape() != contextShape) {
    failShape({"context is a node of shape ", graph::toString(options.context->shape()),
               "; the layer '", options.name, "' takes ", graph::toString(contextShape)});
  }
  Nodes nodes;
  nodes[kInput] =
      Node::input(options.input, layer.type, batchesOf(options.tokens, configuration.queryDim));
  nodes[kContext] = options.context;
  if (!options.context) nodes[kContext] = Node::input("context", layer.type, contextShape);
  if (options.mask) {
    nodes[kMask] =
        Node::input("mask", layer.type,
                    {"batch", configuration.numHeads, options.tokens, "contextLength"}, true);
  }
  addConstants(layer, options.name, nodes);
  NodePointer output = addOperators(configuration, options.name, nodes);
  inputs.push_back(nodes[kInput]);
  if (!options.context) inputs.push_back(nodes[kContext]);
  if (options.mask) inputs.push_back(nodes[kMask]);
  return output;
}

}  // namespace cross_attention::layer
