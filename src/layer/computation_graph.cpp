#include "layer/computation_graph.hpp"

#include <array>
#include <initializer_list>

#include "core/error.hpp"

namespace cross_attention::layer {

namespace {

using graph::Dimensions;
using graph::ElementType;
using graph::Node;
using graph::NodePointer;
using graph::Operator;

/// Dimensions of a reshape that depend on the layer.
enum Size : std::int16_t { kHeads = 100, kHeadDim, kInnerDim };

/// The index of a node: those of the inputs and constants first, then those of the steps in their order.
using NodeIndex = std::int8_t;
constexpr NodeIndex kNone = -1;
enum GivenNode : NodeIndex {
  kInput,
  kContext,
  kMask,
  kParameters,
  kScale = kParameters + static_cast<NodeIndex>(kParameterCount),
  kEpsilon,
  kGivenCount
};
constexpr NodeIndex nodeOf(ParameterId id) {
  return static_cast<NodeIndex>(kParameters + static_cast<int>(id));
}

/// An operator of the layer's graph.
struct GraphStep {
  Operator op{};
  const char* name = nullptr;
  NodeIndex first = kNone;
  NodeIndex second = kNone;
  /// A node without which this operator is left out; kNone: always there.
  NodeIndex condition = kNone;
  std::uint8_t attributeCount = 0;
  std::array<std::int16_t, 4> attributes{};
};

/// The names of a norm's steps.
struct NormNames {
  const char *mean, *centered, *squares, *variance, *shifted, *deviation, *normalized, *weighted, *biased;
};

/// Builds the steps at compile time: as a table they are smaller than as calls.
class GraphBuilder {
 public:
  static constexpr std::size_t kStepCount = 43;

  constexpr NodeIndex add(const char* name, NodeIndex left, NodeIndex right) {
    return append({Operator::kAdd, name, left, right});
  }
  constexpr NodeIndex mul(const char* name, NodeIndex left, NodeIndex right) {
    return append({Operator::kMul, name, left, right});
  }
  constexpr NodeIndex matMul(const char* name, NodeIndex left, NodeIndex right) {
    return append({Operator::kMatMul, name, left, right});
  }
  constexpr NodeIndex transpose(const char* name, NodeIndex node, std::initializer_list<std::int16_t> axes) {
    return append({Operator::kTranspose, name, node}, axes);
  }
  constexpr NodeIndex reshape(const char* name, NodeIndex node, std::initializer_list<std::int16_t> shape) {
    return append({Operator::kReshape, name, node}, shape);
  }
  constexpr NodeIndex softmax(const char* name, NodeIndex node) {
    return append({Operator::kSoftmax, name, node}, {-1});
  }

  /// LayerNorm or RMSNorm over the last axis. Only the first subtracts the mean, and only it has a bias.
  constexpr NodeIndex norm(const NormNames& names, NodeIndex node, NodeIndex weight, NodeIndex bias) {
    const NodeIndex mean = append({Operator::kReduceMean, names.mean, node, kNone, bias}, {-1});
    const NodeIndex centered = append({Operator::kSub, names.centered, node, mean});
    const NodeIndex squares = append({Operator::kMul, names.squares, centered, centered, weight});
    const NodeIndex variance = append({Operator::kReduceMean, names.variance, squares, kNone, weight}, {-1});
    const NodeIndex shifted = append({Operator::kAdd, names.shifted, variance, kEpsilon, weight});
    const NodeIndex deviation = append({Operator::kSqrt, names.deviation, shifted, kNone, weight});
    const NodeIndex normalized = append({Operator::kDiv, names.normalized, centered, deviation});
    return add(names.biased, mul(names.weighted, normalized, weight), bias);
  }

  constexpr std::array<GraphStep, kStepCount> steps() const { return steps_; }

 private:
  constexpr NodeIndex append(GraphStep step, std::initializer_list<std::int16_t> attributes = {}) {
    for (const std::int16_t attribute : attributes) {
      step.attributes[static_cast<std::size_t>(step.attributeCount++)] = attribute;
    }
    steps_[count_] = step;
    return static_cast<NodeIndex>(kGivenCount + count_++);
  }

  std::array<GraphStep, kStepCount> steps_{};
  std::size_t count_ = 0;
};

constexpr NormNames kQueryNormNames{"query.mean",       "query.centered", "query.squares",
                                    "query.variance",   "query.shifted",  "query.deviation",
                                    "query.normalized", "query.weighted", "query.norm"};
constexpr NormNames kKeyNormNames{"key.mean",       "key.centered", "key.squares",
                                  "key.variance",   "key.shifted",  "key.deviation",
                                  "key.normalized", "key.weighted", "key.norm"};

/// q = norm(x·Wqᵀ + bq), k = norm(c·Wkᵀ + bk), v = c·Wvᵀ + bv, out = softmax(scale·q·kᵀ + mask)·v per head,
/// joined, ·Woᵀ + bo.
constexpr std::array<GraphStep, GraphBuilder::kStepCount> buildSteps() {
  GraphBuilder graph;
  const NodeIndex queryWeight = graph.transpose("query.weight", nodeOf(ParameterId::kQuery), {1, 0});
  const NodeIndex query = graph.matMul("query", kInput, queryWeight);
  const NodeIndex biasedQuery = graph.add("query.biased", query, nodeOf(ParameterId::kQueryBias));
  const NodeIndex querySplit = graph.reshape("query.split", biasedQuery, {0, 0, kHeads, kHeadDim});
  const NodeIndex queryNorm = graph.norm(kQueryNormNames, querySplit, nodeOf(ParameterId::kQueryNorm),
                                         nodeOf(ParameterId::kQueryNormBias));
  const NodeIndex queryHeads = graph.transpose("query.heads", queryNorm, {0, 2, 1, 3});
  const NodeIndex keyWeight = graph.transpose("key.weight", nodeOf(ParameterId::kKey), {1, 0});
  const NodeIndex key = graph.matMul("key", kContext, keyWeight);
  const NodeIndex biasedKey = graph.add("key.biased", key, nodeOf(ParameterId::kKeyBias));
  const NodeIndex keySplit = graph.reshape("key.split", biasedKey, {0, 0, kHeads, kHeadDim});
  const NodeIndex keyNorm =
      graph.norm(kKeyNormNames, keySplit, nodeOf(ParameterId::kKeyNorm), nodeOf(ParameterId::kKeyNormBias));
  const NodeIndex keyHeads = graph.transpose("key.heads", keyNorm, {0, 2, 3, 1});
  const NodeIndex valueWeight = graph.transpose("value.weight", nodeOf(ParameterId::kValue), {1, 0});
  const NodeIndex value = graph.matMul("value", kContext, valueWeight);
  const NodeIndex biasedValue = graph.add("value.biased", value, nodeOf(ParameterId::kValueBias));
  const NodeIndex valueSplit = graph.reshape("value.split", biasedValue, {0, 0, kHeads, kHeadDim});
  const NodeIndex valueHeads = graph.transpose("value.heads", valueSplit, {0, 2, 1, 3});
  const NodeIndex products = graph.matMul("products", queryHeads, keyHeads);
  const NodeIndex scores = graph.mul("scores", products, kScale);
  const NodeIndex maskedScores = graph.add("scores.masked", scores, kMask);
  const NodeIndex probabilities = graph.softmax("probabilities", maskedScores);
  const NodeIndex attendedHeads = graph.matMul("attended.heads", probabilities, valueHeads);
  const NodeIndex attendedSplit = graph.transpose("attended.split", attendedHeads, {0, 2, 1, 3});
  const NodeIndex attended = graph.reshape("attended", attendedSplit, {0, 0, kInnerDim});
  const NodeIndex outputWeight = graph.transpose("projected.weight", nodeOf(ParameterId::kOutput), {1, 0});
  const NodeIndex projected = graph.matMul("projected", attended, outputWeight);
  graph.add("output", projected, nodeOf(ParameterId::kOutputBias));
  return graph.steps();
}
constexpr std::array kSteps = buildSteps();

graph::Attributes attributesOf(const GraphStep& step, const Configuration& configuration) {
  graph::Attributes attributes;
  for (int index = 0; index < step.attributeCount; ++index) {
    Index attribute = step.attributes[static_cast<std::size_t>(index)];
    if (attribute == kHeads) attribute = configuration.numHeads;
    if (attribute == kHeadDim) attribute = configuration.headDim();
    if (attribute == kInnerDim) attribute = configuration.innerDim();
    attributes.push_back(attribute);
  }
  return attributes;
}

/// The nodes of the inputs and constants, then one for each step.
using Nodes = std::array<NodePointer, kGivenCount + kSteps.size()>;

/// Adds the operators to the inputs and constants and returns the last of them.
NodePointer addOperators(const Configuration& configuration, std::string_view layer, Nodes& nodes) {
  std::size_t next = kGivenCount;
  for (const GraphStep& step : kSteps) {
    const NodePointer& first = nodes[static_cast<std::size_t>(step.first)];
    NodePointer& node = nodes[next++];
    if (step.condition != kNone && nodes[static_cast<std::size_t>(step.condition)] == nullptr) continue;
    // Without a mask, the masked scores are the scores; without a bias, the sum is the product.
    if (step.second != kNone && nodes[static_cast<std::size_t>(step.second)] == nullptr) {
      node = first;
      continue;
    }
    graph::NodeInputs inputs;
    inputs.push_back(first);
    if (step.second != kNone) inputs.push_back(nodes[static_cast<std::size_t>(step.second)]);
    node = Node::apply(step.op, {layer, step.name}, inputs, attributesOf(step, configuration));
  }
  return nodes.back();
}

/// Adds the parameters, the scale and, for a norm, its epsilon.
void addConstants(const AnyLayer& layer, std::string_view name, Nodes& nodes) {
  graph::Constant constant{std::make_shared<LayerConstants>(name, layer)};
  for (; constant.part < LayerConstants::kParts; ++constant.part) {
    const auto part = static_cast<std::size_t>(constant.part);
    const bool isParameter = constant.part < kParameterCount;
    if (isParameter && layer.shapes[part].size() == 0) continue;
    if (constant.part == LayerConstants::kEpsilonPart && !layer.configuration.hasNorm()) continue;
    std::string_view constantName = constant.part == LayerConstants::kEpsilonPart ? "epsilon" : "scale";
    if (isParameter) constantName = kParameterNames[part];
    nodes[kParameters + part] =
        Node::constant({name, constantName}, layer.type,
                       isParameter ? graph::toDimensions(layer.shapes[part]) : Dimensions{}, constant);
  }
}

Dimensions batchesOf(std::string_view tokens, Index channels) { return {"batch", tokens, channels}; }

}  // namespace

LayerConstants::LayerConstants(std::string_view name, const AnyLayer& layer)
    : name_(name),
      isSingle_(layer.type == ElementType::kFloat32),
      numbers_{layer.configuration.softmaxScale(), layer.configuration.normEpsilon},
      singles_{static_cast<float>(numbers_[0]), static_cast<float>(numbers_[1])},
      shapes_(layer.shapes),
      layer_(layer.self) {}

bool LayerConstants::isAlive() const {
  return isSingle_ ? layer<float>() != nullptr : layer<double>() != nullptr;
}

std::uint64_t LayerConstants::version() const {
  if (!isAlive()) return 0;
  return isSingle_ ? layer<float>()->parameters().version() : layer<double>()->parameters().version();
}

const void* LayerConstants::elements(int part) const {
  if (part >= kParameterCount) {
    const auto number = static_cast<std::size_t>(part - kParameterCount);
    return isSingle_ ? static_cast<const void*>(&singles_[number]) : &numbers_[number];
  }
  const auto id = static_cast<ParameterId>(part);
  if (isSingle_) return layer<float>()->effectiveParameters().effective(id).data();
  return layer<double>()->effectiveParameters().effective(id).data();
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
    failShape({"context has shape ", graph::toString(options.context->shape()), "; expected ",
               graph::toString(contextShape), " for layer '", options.name, "'"});
  }
  Nodes nodes;
  nodes[kInput] = Node::input(options.input, layer.type, batchesOf(options.tokens, configuration.queryDim));
  nodes[kContext] = options.context;
  if (!options.context) nodes[kContext] = Node::input("context", layer.type, contextShape);
  nodes[kMask] = options.sharedMask;
  const bool addsMask = options.mask && !options.sharedMask;
  if (addsMask) {
    const Dimensions keys{"batch", 1, 1, "contextLength"};
    const Dimensions scores{"batch", configuration.numHeads, options.tokens, "contextLength"};
    nodes[kMask] = Node::input(options.maskName, layer.type, options.isKeyMask ? keys : scores, true);
  }
  addConstants(layer, options.name, nodes);
  NodePointer output = addOperators(configuration, options.name, nodes);
  inputs.push_back(nodes[kInput]);
  if (!options.context) inputs.push_back(nodes[kContext]);
  if (addsMask) inputs.push_back(nodes[kMask]);
  return output;
}

}  // namespace cross_attention::layer
