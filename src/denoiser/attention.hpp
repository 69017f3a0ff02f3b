#pragma once

#include <array>
#include <memory>
#include <vector>

#include "layer/diffusion_cross_attention.hpp"
#include "operators/low_rank_update.hpp"

namespace cross_attention::denoiser {

using layer::MapHeads;
using layer::Mask;
using operators::LowRankUpdate;
using operators::Parameter;
using operators::ParameterSet;

/// A DiffusionCrossAttention whose parameters lie in a set with those of the whole model. Over `name` they have the names
/// that diffusers gives them: to_q.weight, to_k.weight, to_v.weight, to_out.0.weight, to_out.0.bias.
template <class T>
class Attention {
 public:
  /// The weights that may be updated at low rank, in the order of the parameters: to_q, to_k, to_v, to_out.0.
  static constexpr std::size_t kWeights = 4;
  using Updates = std::array<LowRankUpdate<T>, kWeights>;

  Attention(ParameterSet<T>& parameters, const std::string& name, Index queryDim, Index contextDim,
            Index numHeads);

  /// tokens: [batch, N, queryDim]; context: [batch | 1, L, contextDim], null for self-attention.
  Tensor<T> forward(const Tensor<T>& tokens, const Tensor<T>* context, const Mask<T>& mask, bool keep);
  /// dL/d(tokens) of the last forward that was kept; adds to the gradients, and to the context's where there was one.
  Tensor<T> backward(const Tensor<T>& outputGradient, Tensor<T>* contextGradient);

  /// The probabilities of such a forward: [batch, heads, N, L].
  Tensor<T> probabilities(const Tensor<T>& tokens, const Tensor<T>* context, const Mask<T>& mask);
  /// A forward whose probabilities are given, [batch, heads, N, L]: the values alone are the context's.
  Tensor<T> forwardWith(const Tensor<T>& probabilities, const Tensor<T>& tokens, const Tensor<T>* context);

  const std::string& name() const { return name_; }
  /// One a weight, which must live as long; null: none.
  void setUpdates(const Updates* updates);
  const Parameter<T>& parameter(std::size_t index) const { return *parameters_[index]; }
  /// The layer, with the parameters as they are now.
  layer::DiffusionCrossAttention<T>& layer();

 private:
  bool needsGradients() const;
  void addGradients();
  std::vector<T> updatedValues() const;

  const std::string name_;
  const ParameterSet<T>& set_;
  layer::Configuration configuration_;
  layer::DiffusionCrossAttention<T> layer_;
  /// The same weights with scores that are all zero: what its mask says is what its probabilities are.
  std::unique_ptr<layer::DiffusionCrossAttention<T>> maskedLayer_;
  std::uint64_t maskedVersion_ = 0;
  std::vector<Parameter<T>*> parameters_;
  const Updates* updates_ = nullptr;
  std::uint64_t version_ = 0;  ///< of the set, that the layer has
};

}  // namespace cross_attention::denoiser
