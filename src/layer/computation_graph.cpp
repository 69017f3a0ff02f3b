#include "layer/computation_graph.hpp"

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::layer {

namespace {

using graph::Dimensions;
using graph::Node;
using graph::NodePointer;
using graph::Operator;

/// Makes the nodes of one layer, whose names begin with the layer's.
template <class T>
class GraphWriter {
 public:
  GraphWriter(const DiffusionCrossAttention<T>& layer, const std::string& name)
      : layer_(layer), name_(name), constants_(std::make_shared<LayerConstants<T>>(name, layer)) {}

  NodePointer parameter(ParameterId id) const {
    return Node::constant(text({name_, ".", nameOf(id)}), graph::kElementType<T>,
                          graph::toDimensions(layer_.parameters().shape(id)),
                          {constants_, static_cast<int>(id)});
  }
  NodePointer scale() const {
    return Node::constant(text({name_, ".scale"}), graph::kElementType<T>, {},
                          {constants_, LayerConstants<T>::kScale});
  }
  NodePointer apply(Operator op, const char* name, std::vector<NodePointer> inputs,
                    std::vector<std::int64_t> list = {}) const {
    return Node::apply(op, text({name_, ".", name}), std::move(inputs), std::move(list));
  }
  /// x·Wᵀ
  NodePointer linear(const char* name, const NodePointer& input, ParameterId weight) const {
    const NodePointer transposed =
        Node::apply(Operator::kTranspose, text({name_, ".", name, ".weight.transposed"}),
                    {parameter(weight)}, {1, 0});
    return apply(Operator::kMatMul, name, {input, transposed});
  }
  /// [batch, rows, channels] as [batch, heads, …] by `axes` of [batch, rows, heads, headDim].
  NodePointer heads(const char* name, const NodePointer& input,
                    std::vector<std::int64_t> axes) const {
    const Configuration& configuration = layer_.configuration();
    const NodePointer split =
        Node::apply(Operator::kReshape, text({name_, ".", name, ".split"}), {input},
                    {0, 0, configuration.numHeads, configuration.headDim()});
    return apply(Operator::kTranspose, name, {split}, std::move(axes));
  }

 private:
  const DiffusionCrossAttention<T>& layer_;
  const std::string& name_;
  std::shared_ptr<const LayerConstants<T>> constants_;
};

}  // namespace

template <class T>
LayerConstants<T>::LayerConstants(std::string name, const DiffusionCrossAttention<T>& layer)
    : name_(std::move(name)),
      configuration_(layer.configuration()),
      scale_(static_cast<T>(configuration_.softmaxScale())),
      layer_(layer.self()) {}

template <class T>
const void* LayerConstants<T>::elements(int part) const {
  if (part == kScale) return &scale_;
  return layer()->parameters().values(static_cast<ParameterId>(part)).data();
}

template <class T>
NodePointer exportComputationGraph(const DiffusionCrossAttention<T>& layer,
                                   const GraphOptions& options,
                                   std::vector<NodePointer>& inputs) {
  constexpr graph::ElementType kType = graph::kElementType<T>;
  const Configuration& configuration = layer.configuration();
  const Dimensions contextShape{"batch", "contextLength", configuration.contextDim};
  if (options.context && options.context->shape() != contextShape) {
    failShape(text({"context is a node of shape ", graph::toString(options.context->shape()),
                    "; the layer '", options.name, "' takes ", graph::toString(contextShape)}));
  }
  const NodePointer input =
      Node::input(options.input, kType, {"batch", options.tokens, configuration.queryDim});
  const NodePointer context =
      options.context ? options.context : Node::input("context", kType, contextShape);

  const GraphWriter<T> write(layer, options.name);
  const NodePointer query = write.heads(
      "query.heads", write.linear("query", input, ParameterId::kQuery), {0, 2, 1, 3});
  const NodePointer key =
      write.heads("key.heads", write.linear("key", context, ParameterId::kKey), {0, 2, 3, 1});
  const NodePointer value = write.heads(
      "value.heads", write.linear("value", context, ParameterId::kValue), {0, 2, 1, 3});
  const NodePointer products = write.apply(Operator::kMatMul, "products", {query, key});
  NodePointer scores = write.apply(Operator::kMul, "scores", {products, write.scale()});
  inputs.push_back(input);
  if (!options.context) inputs.push_back(context);
  if (options.mask) {
    const NodePointer mask = Node::input("mask", kType, scores->shape(), true);
    inputs.push_back(mask);
    scores = write.apply(Operator::kAdd, "scores.masked", {scores, mask});
  }
  const NodePointer probabilities =
      write.apply(Operator::kSoftmax, "probabilities", {scores}, {-1});
  const NodePointer attended =
      write.apply(Operator::kTranspose, "attended",
                  {write.apply(Operator::kMatMul, "attended.heads", {probabilities, value})},
                  {0, 2, 1, 3});
  const NodePointer joined =
      write.apply(Operator::kReshape, "attended.joined", {attended}, {0, 0, configuration.queryDim});
  return write.apply(
      Operator::kAdd, "output",
      {write.linear("projected", joined, ParameterId::kOutput),
       write.parameter(ParameterId::kOutputBias)});
}

template class LayerConstants<float>;
template class LayerConstants<double>;
template NodePointer exportComputationGraph(const DiffusionCrossAttention<float>&,
                                            const GraphOptions&, std::vector<NodePointer>&);
template NodePointer exportComputationGraph(const DiffusionCrossAttention<double>&,
                                            const GraphOptions&, std::vector<NodePointer>&);

}  // namespace cross_attention::layer
