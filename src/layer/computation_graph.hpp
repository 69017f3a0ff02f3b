#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "graph/node.hpp"
#include "layer/diffusion_cross_attention.hpp"

namespace cross_attention::layer {

/// A layer whose type of elements is known at run time only.
struct AnyLayer {
  template <class T>
  AnyLayer(const DiffusionCrossAttention<T>& layer)
      : configuration(layer.configuration()),
        shapes(layer.parameters().shapes()),
        type(graph::kElementType<T>),
        self(layer.self()) {}

  const Configuration& configuration;
  const ParameterShapes& shapes;
  graph::ElementType type;
  std::shared_ptr<const void> self;  ///< the layer's self()
};

/// A layer's parameters, in the order of ParameterId, and after them its softmax scale as constants of a graph.
class LayerConstants final : public graph::ConstantOwner {
 public:
  LayerConstants(std::string_view name, const AnyLayer& layer);

  const std::string& name() const override { return name_; }
  bool isAlive() const override;
  std::uint64_t version() const override;
  const void* elements(int part) const override;
  void finishBeforeChange(const std::shared_ptr<Finishable>& pending) const override;
  bool isLayer() const override { return true; }

  /// Of the type that was given. Null once it was disposed of.
  template <class T>
  DiffusionCrossAttention<T>* layer() const {
    return *static_cast<DiffusionCrossAttention<T>* const*>(layer_.get());
  }

 private:
  std::string name_;
  bool isSingle_;
  float singleScale_;
  double scale_;
  std::shared_ptr<const void> layer_;  ///< its self()
};

/// How a layer's graph is to be written.
struct GraphOptions {
  std::string_view name = "cross_attention";  ///< before the names of all nodes but the inputs
  bool mask =
      false;  ///< with a third input, which is added to the scores: [batch, heads, tokens, contextLength], broadcast
  std::string_view input = "input";    ///< the name of the input
  std::string_view tokens = "tokens";  ///< the name of its number of tokens
  graph::NodePointer context =
      {};  ///< an input of another layer's graph to be shared; null: one of its own
};

/// The layer as a graph of ONNX's operators on tokens [batch, tokens, queryDim] and a context [batch, contextLength,
/// contextDim]. Pushes the inputs' nodes (input, context, mask if wanted) onto `inputs` and returns the output's. Throws
/// kShape where a shared context is none of this layer's contextDim.
graph::NodePointer exportComputationGraph(const AnyLayer& layer, const GraphOptions& options,
                                          graph::NodeInputs& inputs);

}  // namespace cross_attention::layer
