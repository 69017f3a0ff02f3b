#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/tensor.hpp"

namespace cross_attention::layer {

/// Which keys may be attended to: one list of key numbers a batch row, or one for all rows.
struct KeyMask {
  Index batch = 0;
  Index length = 0;
  /// Row by row, the numbers of the keys that are attended to, ascending.
  std::vector<std::vector<Index>> attended;

  const std::vector<Index>& row(Index batchRow) const {
    return attended[static_cast<std::size_t>(batch == 1 ? 0 : batchRow)];
  }
};

/// A mask as the caller gave it. At most one of the two is there.
template <class T>
struct Mask {
  std::shared_ptr<const KeyMask> keys;
  /// [B | 1, heads | 1, N | 1, L], added to the scores.
  std::optional<Tensor<T>> additive;

  /// `U` is the mask's own dtype: any for a key mask [B | 1, L] of ones (attend) and zeros (ignore); an additive mask
  /// takes that of the layer. Throws kShape for another rank, kArgument for another value or dtype.
  template <class U>
  static Mask from(const Tensor<U>& tensor);
};

}  // namespace cross_attention::layer
