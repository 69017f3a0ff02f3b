#pragma once

#include <cstdint>
#include <span>

#include "core/tensor.hpp"
#include "operators/parameter.hpp"

namespace cross_attention::operators {

/// y[b, l] = table[ids[b, l]] + positions[l]. Parameters `name`.weight [entries, features] and `name`.positions
/// [mostTokens, features].
template <class T>
class Embedding {
 public:
  Embedding(ParameterSet<T>& parameters, const std::string& name, Index entries, Index mostTokens,
            Index features);

  /// `ids`: [batch, tokens], each below the number of entries; tokens at most mostTokens. → [batch, tokens, features]
  Tensor<T> forward(std::span<const std::int32_t> ids, Index tokens, bool keep);
  /// Adds to the gradients of what is trainable.
  void backward(const Tensor<T>& outputGradient);

  /// An entry more, alike to entry `model`.
  void addEntry(Index model);
  Parameter<T>& table() { return table_; }

 private:
  Parameter<T>& table_;
  Parameter<T>& positions_;
  std::vector<std::int32_t> ids_;
};

}  // namespace cross_attention::operators
