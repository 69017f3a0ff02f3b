#include "attention/probabilities.hpp"

#include <algorithm>
#include <array>

namespace cross_attention::attention {

using linalg::kTileColumns;
using linalg::kTileRows;

template <class T>
ByteCount probabilitiesScratch(Index keyBlock) {
  return ByteCount{keyBlock} * kTileColumns<T>;
}

template <class T>
void addProbabilities(const Probabilities<T>& task, T* scratch) {
  constexpr Index kColumns = kTileColumns<T>;
  std::array<T, kColumns> maximum, sum, factors;
  for (Index panel = 0; panel < task.query.panels(); ++panel) {
    const Index token = panel * kColumns;
    const Index tokens = std::min(kColumns, task.query.columns - token);
    // For each block of keys, computes its scores into scratch and calls use(first key, number of keys).
    const auto forKeyBlocks = [&](auto use) {
      for (Index key = 0; key < task.keys.rows; key += task.keyBlock) {
        const Index keys = std::min(task.keyBlock, task.keys.rows - key);
        computeScores(task.keys.panelRange(key / kTileRows<T>, ceilDivide(key + keys, kTileRows<T>)),
                      task.query.panel(panel), task.mask.fromToken(token), key, tokens, scratch);
        use(key, keys);
      }
    };
    const RunningSoftmax<T> running{maximum.data(), sum.data()};
    running.begin();
    forKeyBlocks([&](Index, Index keys) { running.add(scratch, keys, factors.data()); });
    running.inverseSum(factors.data());
    forKeyBlocks([&](Index first, Index keys) {
      // Shift by the maximum and not by log-sum-exp, which rounds the sum away if scores are large.
      toProbabilities(scratch, keys, maximum.data());
      for (Index key = 0; key < keys; ++key) {
        const Index row = task.keyIndices == nullptr ? first + key : task.keyIndices[first + key];
        for (Index column = 0; column < tokens; ++column) {
          *task.map.at(row, token + column) +=
              task.weight * factors[static_cast<std::size_t>(column)] * scratch[key * kColumns + column];
        }
      }
    });
  }
}

#define CROSS_ATTENTION_INSTANTIATE(T)                         \
  template void addProbabilities(const Probabilities<T>&, T*); \
  template ByteCount probabilitiesScratch<T>(Index);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::attention
