#pragma once

#include <cstdint>
#include <span>

#include "core/tensor.hpp"
#include "operators/parameter.hpp"

namespace cross_attention::operators {

/// Embeds ids with learned positions: y[b, l] = table[ids[b, l]] + positions[l]. Parameters: `name`.weight
/// [entries, features] and `name`.positions [maxTokens, features].
template <class T>
class Embedding {
 public:
  Embedding(ParameterSet<T>& parameters, const std::string& name, Index entries, Index maxTokens,
            Index features);

  /// Returns [batch, tokens, features]. `ids`: [batch, tokens], each below the number of entries, with at
  /// most maxTokens tokens.
  Tensor<T> forward(std::span<const std::int32_t> ids, Index tokens, bool saveForBackward);
  /// Adds to the gradients of trainable parameters.
  void backward(const Tensor<T>& outputGradient);

  /// Appends a copy of entry `model`.
  void addEntry(Index model);
  Parameter<T>& table() { return table_; }

 private:
  Parameter<T>& table_;
  Parameter<T>& positions_;
  std::vector<std::int32_t> ids_;
};

}  // namespace cross_attention::operators
