#pragma once

#include <cstdint>
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

/// What the elements of a mask of rank 3 or 4 are. Those of rank 2 are always ones and zeros.
enum class MaskElements : std::uint8_t {
  kAdditive,  ///< added to the scores
  kBoolean,   ///< 1 (attend) or 0 (ignore)
};

/// The mask of a call: a key mask, an additive mask, or neither; and whether attention is causal.
template <class T>
struct Mask {
  std::shared_ptr<const KeyMask> keys;
  /// Added to the scores; [B, heads, N, L], where all sizes except L may be 1.
  std::optional<Tensor<T>> additive;
  /// Token i attends to keys j <= i + L - N only.
  bool causal = false;
  /// The shape of the tensor that the mask was made from, if `from` made it.
  std::optional<Shape> givenShape;

  /// Returns a key mask for [B, L] of ones (attend) and zeros (ignore), an additive mask for [B, N, L] and
  /// [B, heads, N, L]. Boolean tensors of those ranks become additive masks of 0 and -infinity, or a key mask
  /// if all heads and tokens share one row; [L] becomes [1, L]. Ones and zeros may have either dtype `U`;
  /// numbers to add require the layer's. Throws kShape for another rank, kArgument for other values than ones
  /// and zeros, or for another dtype.
  template <class U>
  static Mask from(const Tensor<U>& tensor, MaskElements elements = MaskElements::kAdditive);

  /// Returns the shape of the tensor that the mask was made from; nothing if there is no mask.
  std::optional<Shape> shape() const;
};

}  // namespace cross_attention::layer
