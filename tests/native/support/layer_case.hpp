#pragma once

#include <array>
#include <optional>
#include <string>

#include "layer/diffusion_cross_attention.hpp"
#include "support/random_data.hpp"
#include "support/reference_layer.hpp"

namespace cross_attention::test {

/// Layout of the input: [B, C, H, W], [B, N, C] or [N, C].
enum class Layout { kImage, kBatches, kSingle };

constexpr layer::Configuration configurationOf(Index queryDim, Index contextDim, Index numHeads,
                                               std::uint64_t seed = 0) {
  layer::Configuration configuration;
  configuration.queryDim = queryDim;
  configuration.contextDim = contextDim;
  configuration.numHeads = numHeads;
  configuration.seed = seed;
  return configuration;
}

/// Shapes and options of a call of a layer.
struct CaseShape {
  Layout layout = Layout::kImage;
  Index batch = 1;
  Index height = 3;
  Index width = 5;
  Index queryDim = 8;
  Index numHeads = 2;
  /// Without a context the call is self-attention.
  std::optional<Shape> context = Shape{7, 6};
  /// Rank 2: a key mask. Rank 4: an additive mask.
  std::optional<Shape> mask;
  /// If true, the mask excludes all keys of at least one row.
  bool ignoresWholeRow = false;
  /// Input and context are uniform within ± bound. 0: unit-normal.
  double bound = 0;
  double maskDeviation = 1;
  Index tokenBlock = 0;
  Index keyBlock = 0;
  /// See layer::Configuration.
  Index headChannels = 0;
  Index outputChannels = 0;
  bool bias = false;
  bool outputBias = true;
  layer::QueryKeyNorm norm = layer::QueryKeyNorm::kNone;
  std::uint64_t seed = 1;

  Index tokens() const { return height * width; }
  Shape inputShape() const;
  Shape outputShape() const;
  Index outputDim() const { return outputChannels > 0 ? outputChannels : queryDim; }
  Index length() const { return context ? (*context)[context->rank() - 2] : tokens(); }
  Index contextDim() const { return context ? (*context)[context->rank() - 1] : queryDim; }
  std::string describe() const;
};

/// The layer and tensors of a call, with Xavier weights, random biases and random weights of norms.
template <class T>
class LayerCase {
 public:
  explicit LayerCase(const CaseShape& shape);

  CaseShape shape;
  layer::DiffusionCrossAttention<T> layer;
  Tensor<T> input;
  std::optional<Tensor<T>> context;
  std::optional<Tensor<T>> maskTensor;
  layer::Mask<T> mask;
  Tensor<T> outputGradient;

  const Tensor<T>* contextPointer() const { return context ? &*context : nullptr; }
  Tensor<T> forward() { return layer.forward(input, contextPointer(), mask); }
  Tensor<T> maps(layer::MapHeads heads) { return layer.attentionMaps(input, contextPointer(), mask, heads); }
  /// Runs a training forward and its backward pass. Returns the gradient of the input.
  Tensor<T> forwardAndBackward();
  std::vector<T> parameterGradients() const;

  /// Returns the same call in float64.
  ReferenceLayer reference() const;
  /// Returns a tensor of the input's or output's shape as rows [B, N, C].
  std::vector<double> rows(const Tensor<T>& tensor) const;
  /// Like rows, for the chosen tokens only.
  std::vector<double> rows(const Tensor<T>& tensor, const std::vector<Index>& chosen) const;

 private:
  Tensor<T> randomMask(Random& random) const;
};

/// Returns the value that a key mask or an additive mask adds to a score.
template <class T>
double maskValue(const Tensor<T>& mask, Index batchRow, Index head, Index token, Index key);

}  // namespace cross_attention::test
