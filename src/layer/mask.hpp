#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/tensor.hpp"

namespace cross_attention::layer {

/// The keys that tokens may attend to: one list for each batch row, or one list for all rows.
struct KeyMask {
  /// The number of lists: 1 or the input's batch size.
  Index batch = 0;
  Index length = 0;
  /// For each batch row, the ascending indices of the keys that are attended to.
  std::vector<std::vector<Index>> attended;

  const std::vector<Index>& row(Index batchRow) const {
    return attended[static_cast<std::size_t>(batch == 1 ? 0 : batchRow)];
  }
  /// Returns the number of attended keys of the row that has most of them.
  Index maxKeys() const;
};

/// The mask of a call: a key mask, an additive mask, or neither.
template <class T>
struct Mask {
  std::shared_ptr<const KeyMask> keys;
  /// Added to the scores; [B, heads, N, L], where all sizes except L may be 1.
  std::optional<Tensor<T>> additive;

  /// Returns a key mask for [B, L] of ones (attend) and zeros (ignore), an additive mask for [B, heads, N,
  /// L]. A key mask may have either dtype `U`; an additive mask requires the layer's. Throws kShape for
  /// another rank, kArgument for other values of a key mask or another dtype of an additive mask.
  template <class U>
  static Mask from(const Tensor<U>& tensor);

  /// Returns the shape of the tensor that the mask was made from; nothing if there is no mask.
  std::optional<Shape> shape() const;
};

}  // namespace cross_attention::layer
