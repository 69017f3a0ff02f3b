#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "graph/node.hpp"
#include "layer/diffusion_cross_attention.hpp"

namespace cross_attention::layer {

/// A layer whose dtype is known at run time only.
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
  /// The layer's self().
  std::shared_ptr<const void> self;
};

/// The constants of a layer's graph: its parameters in the order of ParameterId, then its softmax scale and
/// the epsilon of its norm.
class LayerConstants final : public graph::ConstantOwner {
 public:
  static constexpr int kScalePart = static_cast<int>(kParameterCount);
  static constexpr int kEpsilonPart = kScalePart + 1;
  static constexpr int kParts = kEpsilonPart + 1;

  LayerConstants(std::string_view name, const AnyLayer& layer);

  const std::string& name() const override { return name_; }
  bool isAlive() const override;
  std::uint64_t version() const override;
  const void* elements(int part) const override;
  /// True if the layer has the parameter.
  bool has(ParameterId id) const { return shapes_[static_cast<std::size_t>(id)].size() > 0; }
  void finishBeforeChange(const std::shared_ptr<Finishable>& pending) const override;
  bool isLayer() const override { return true; }

  /// Returns the layer, or null if it was disposed. `T` is its element type.
  template <class T>
  DiffusionCrossAttention<T>* layer() const {
    return *static_cast<DiffusionCrossAttention<T>* const*>(layer_.get());
  }

 private:
  std::string name_;
  bool isSingle_;
  /// Scale and epsilon, in both types.
  std::array<double, 2> numbers_;
  std::array<float, 2> singles_;
  ParameterShapes shapes_;
  /// The layer's self().
  std::shared_ptr<const void> layer_;
};

struct GraphOptions {
  /// The prefix of the names of all nodes except the inputs.
  std::string_view name = "cross_attention";
  /// Adds a third input, which is added to the scores: [batch, heads, tokens, contextLength], broadcast.
  bool mask = false;
  /// The name of that input.
  std::string_view maskName = "mask";
  /// The mask has the shape [batch, 1, 1, contextLength], so that layers of all sizes can share it.
  bool isKeyMask = false;
  /// The name of the input.
  std::string_view input = "input";
  /// The name of the input's dimension of tokens.
  std::string_view tokens = "tokens";
  /// A context input to share with another layer's graph; null: the graph has its own.
  graph::NodePointer context = {};
  /// The same for a mask.
  graph::NodePointer sharedMask = {};
};

/// Builds the layer as a graph of ONNX operators on tokens [batch, tokens, queryDim] and a context [batch,
/// contextLength, contextDim]. Appends the nodes of the inputs (input, and the context and the mask, if
/// wanted, unless they are shared) to `inputs` and returns the node of the output. Throws kShape if a shared
/// context has not the layer's contextDim.
graph::NodePointer exportComputationGraph(const AnyLayer& layer, const GraphOptions& options,
                                          graph::NodeInputs& inputs);

}  // namespace cross_attention::layer
