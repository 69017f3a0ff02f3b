#pragma once

#include "layer/parameters.hpp"
#include "linalg/panels.hpp"

namespace cross_attention::layer {

/// The weights that act on the image's tokens, as left operands. Those of keys and values act on a few context rows
/// only and are packed when a context comes.
template <class T>
struct PackedWeights {
  PackedWeights(const Configuration& configuration, const Parameters<T>& parameters);

  std::uint64_t version;  ///< of the parameters they were made of
  Buffer<T> memory;
  linalg::RowPanels<T> query;   ///< Wq
  linalg::RowPanels<T> output;  ///< Wo
};

/// The same weights transposed, for the way back.
template <class T>
struct PackedTransposedWeights {
  PackedTransposedWeights(const Configuration& configuration, const Parameters<T>& parameters);

  Buffer<T> memory;
  linalg::RowPanels<T> query;   ///< Wqᵀ
  linalg::RowPanels<T> output;  ///< Woᵀ
};

}  // namespace cross_attention::layer
