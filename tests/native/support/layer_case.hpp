#pragma once

#include <array>
#include <optional>
#include <string>

#include "layer/diffusion_cross_attention.hpp"
#include "support/random_data.hpp"
#include "support/reference_layer.hpp"

namespace cross_attention::test {

/// How the input lies: [B, C, H, W], [B, N, C] or [N, C].
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

/// A call of a layer, described.
struct CaseShape {
  Layout layout = Layout::kImage;
  Index batch = 1;
  Index height = 3;
  Index width = 5;
  Index queryDim = 8;
  Index numHeads = 2;
  std::optional<Shape> context = Shape{7, 6};  ///< none: self-attention
  std::optional<Shape> mask;                   ///< rank 2: a key mask; rank 4: an additive one
  bool ignoresWholeRow = false;                ///< the mask leaves at least one row without keys
  double bound = 0;  ///< input and context uniform within ± bound; 0: unit-normal
  double maskDeviation = 1;
  Index tokenBlock = 0;
  Index keyBlock = 0;
  std::uint64_t seed = 1;

  Index tokens() const { return height * width; }
  Shape inputShape() const;
  Index length() const { return context ? (*context)[context->rank() - 2] : tokens(); }
  Index contextDim() const { return context ? (*context)[context->rank() - 1] : queryDim; }
  std::string describe() const;
};

/// Layer and tensors of a call, with Xavier weights and a random bias.
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
  Tensor<T> maps(layer::MapHeads heads) {
    return layer.attentionMaps(input, contextPointer(), mask, heads);
  }
  /// A training forward and its way back.
  Tensor<T> forwardAndBackward();
  std::vector<T> parameterGradients() const;

  /// The same call in float64.
  ReferenceLayer reference() const;
  /// A tensor of the input's shape as rows [B, N, C].
  std::vector<double> rows(const Tensor<T>& tensor) const;
  /// Only these tokens of it.
  std::vector<double> rows(const Tensor<T>& tensor, const std::vector<Index>& chosen) const;

 private:
  Tensor<T> randomMask(Random& random) const;
};

/// The value a key mask or an additive mask adds to a score.
template <class T>
double maskValue(const Tensor<T>& mask, Index batchRow, Index head, Index token, Index key);

}  // namespace cross_attention::test
