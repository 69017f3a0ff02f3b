#include "attention/flash_forward.hpp"

#include <algorithm>
#include <array>

#include "linalg/multiply.hpp"

namespace cross_attention::attention {

using linalg::kTileColumns;
using linalg::kTileRows;

template <class T>
ByteCount flashForwardScratch(Index tokens, Index keyBlock, Index groups) {
  return (2 + ByteCount{groups}) * roundUp(tokens, kTileColumns<T>) + ByteCount{keyBlock} * kTileColumns<T>;
}

template <class T>
void flashForward(const FlashForward<T>& task, T* scratch) {
  using linalg::Start;
  constexpr Index kColumns = kTileColumns<T>;
  const Index panels = task.query.panels();
  const Index headDim = task.query.depth;
  T* maxima = scratch;
  T* sums = maxima + panels * kColumns;
  T* scores = sums + panels * kColumns;
  const GroupSums<T>& recorded = task.recorded;
  // As further rows of the output, whose values are 1 for the keys of a group and 0 for all others.
  T* groupSums = scores + task.keyBlock * kColumns;
  const Index groupSumsSize = recorded.groups * kColumns;
  std::fill_n(groupSums, panels * groupSumsSize, T(0));
  std::array<T, kColumns> factors;
  const auto runningOf = [&](Index panel) {
    return RunningSoftmax<T>{maxima + panel * kColumns, sums + panel * kColumns};
  };
  for (Index panel = 0; panel < panels; ++panel) runningOf(panel).begin();

  for (Index key = 0; key < task.keys.rows; key += task.keyBlock) {
    for (Index panel = 0; panel < panels; ++panel) {
      const Index token = panel * kColumns;
      const Index tokens = std::min(kColumns, task.query.columns - token);
      const Index end = std::min(key + task.keyBlock, task.mask.keysUpTo(token + tokens - 1, task.keys.rows));
      const Index keys = end - key;
      if (keys <= 0) continue;
      computeScores(task.keys.panelRange(key / kTileRows<T>, ceilDivide(end, kTileRows<T>)),
                    task.query.panel(panel), task.mask.fromToken(token), key, tokens, scores);
      const bool corrected = runningOf(panel).add(scores, keys, factors.data());
      T* output = task.output.panel(panel);
      T* groups = groupSums + panel * groupSumsSize;
      if (key > 0 && corrected) {
        scaleTokens(output, headDim, factors.data());
        scaleTokens(groups, recorded.groups, factors.data());
      }
      for (const auto& [recordedKey, group] : recorded.keysIn(key, end)) {
        addRow(scores + (recordedKey - key) * kColumns, kColumns, groups + group * kColumns);
      }
      linalg::multiply<T>(
          task.valuesTransposed.depthRange(key, keys), linalg::columnPanels<const T>(scores, keys, kColumns),
          linalg::columnPanels(output, headDim, kColumns), key == 0 ? Start::kZero : Start::kAccumulate);
    }
  }

  for (Index panel = 0; panel < panels; ++panel) {
    T* output = task.output.panel(panel);
    if (task.keys.rows == 0) std::fill_n(output, headDim * kColumns, T(0));
    runningOf(panel).inverseSum(factors.data());
    scaleTokens(output, headDim, factors.data());
    const Index token = panel * kColumns;
    const Index tokens = std::min(kColumns, task.query.columns - token);
    T* groups = groupSums + panel * groupSumsSize;
    scaleTokens(groups, recorded.groups, factors.data());
    for (Index group = 0; group < recorded.groups; ++group) {
      addRow(groups + group * kColumns, tokens, recorded.at(group, token));
    }
    if (task.logSumExp != nullptr) {
      runningOf(panel).logSumExp(factors.data());
      std::copy_n(factors.data(), tokens, task.logSumExp + token);
    }
  }
}

#define CROSS_ATTENTION_INSTANTIATE(T)                    \
  template void flashForward(const FlashForward<T>&, T*); \
  template ByteCount flashForwardScratch<T>(Index, Index, Index);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::attention
