#pragma once

#include <string>
#include <vector>

#include "graph/node.hpp"
#include "layer/diffusion_cross_attention.hpp"

namespace cross_attention::layer {

/// A layer's parameters, in the order of ParameterId, and after them its softmax scale as constants of a graph.
template <class T>
class LayerConstants final : public graph::ConstantOwner {
 public:
  LayerConstants(std::string name, const DiffusionCrossAttention<T>& layer);

  const std::string& name() const override { return name_; }
  bool isAlive() const override { return layer() != nullptr; }
  std::uint64_t version() const override {
    return isAlive() ? layer()->parameters().version() : 0;
  }
  const void* elements(int part) const override;
  bool isLayer() const override { return true; }

  /// Null once it was disposed of.
  DiffusionCrossAttention<T>* layer() const { return *layer_; }

 private:
  std::string name_;
  T scale_;
  std::shared_ptr<DiffusionCrossAttention<T>* const> layer_;
};

/// How a layer's graph is to be written.
struct GraphOptions {
  std::string name = "cross_attention";  ///< before the names of all nodes but the inputs
  bool mask = false;  ///< with a third input, which is added to the scores: [batch, heads, tokens, contextLength], broadcast
  std::string input = "input";    ///< the name of the input
  std::string tokens = "tokens";  ///< the name of its number of tokens
  graph::NodePointer context = {};  ///< an input of another layer's graph to be shared; null: one of its own
};

/// The layer as a graph of ONNX's operators on tokens [batch, tokens, queryDim] and a context [batch, contextLength,
/// contextDim]. Pushes the inputs' nodes (input, context, mask if wanted) onto `inputs` and returns the output's. Throws
/// kShape where a shared context is none of this layer's contextDim.
template <class T>
graph::NodePointer exportComputationGraph(const DiffusionCrossAttention<T>& layer,
                                          const GraphOptions& options,
                                          std::vector<graph::NodePointer>& inputs);

}  // namespace cross_attention::layer
