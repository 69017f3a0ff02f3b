#pragma once

#include <algorithm>
#include <span>

#include "core/index.hpp"

namespace cross_attention::attention {

/// A key whose probabilities are added to the sum of a group.
struct GroupKey {
  Index key;
  Index group;
};

/// Sums of probabilities over groups of keys, for one block of tokens. The scores of a pass already are
/// these probabilities once they are divided by their sum, so that a recorded key costs one addition per
/// token and no product.
template <class T>
struct GroupSums {
  std::span<const GroupKey> keys;  ///< by ascending key
  Index groups = 0;
  T* sums = nullptr;  ///< groups × tokens, from the block's first token; added to
  Index groupStride = 0;

  /// Returns the keys from `first` on that are less than `end`.
  std::span<const GroupKey> keysIn(Index first, Index end) const {
    const auto from = [this](Index key) {
      return std::lower_bound(keys.begin(), keys.end(), key,
                              [](const GroupKey& one, Index limit) { return one.key < limit; });
    };
    return {from(first), from(end)};
  }
  T* at(Index group, Index token) const { return sums + group * groupStride + token; }
};

}  // namespace cross_attention::attention
