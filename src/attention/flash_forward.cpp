#include "attention/flash_forward.hpp"

#include <algorithm>
#include <array>

#include "linalg/multiply.hpp"

namespace cross_attention::attention {

using linalg::kTileColumns;
using linalg::kTileRows;

template <class T>
ByteCount flashForwardScratch(Index tokens, Index keyBlock) {
  return 2 * ByteCount{roundUp(tokens, kTileColumns<T>)} + ByteCount{keyBlock} * kTileColumns<T>;
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
  std::array<T, kColumns> factors;
  const auto runningOf = [&](Index panel) {
    return RunningSoftmax<T>{maxima + panel * kColumns, sums + panel * kColumns};
  };
  for (Index panel = 0; panel < panels; ++panel) runningOf(panel).begin();

  for (Index key = 0; key < task.keys.rows; key += task.keyBlock) {
    const Index keys = std::min(task.keyBlock, task.keys.rows - key);
    const linalg::RowPanels<T> keyPanels =
        task.keys.panelRange(key / kTileRows<T>, ceilDivide(key + keys, kTileRows<T>));
    const linalg::RowPanels<T> values = task.valuesTransposed.depthRange(key, keys);
    for (Index panel = 0; panel < panels; ++panel) {
      const Index token = panel * kColumns;
      computeScores(keyPanels, task.query.panel(panel), task.mask.fromToken(token), key,
                    std::min(kColumns, task.query.columns - token), scores);
      const bool corrected = runningOf(panel).add(scores, keys, factors.data());
      T* output = task.output.panel(panel);
      if (key > 0 && corrected) scaleTokens(output, headDim, factors.data());
      linalg::multiply<T>(values, linalg::columnPanels<const T>(scores, keys, kColumns),
                          linalg::columnPanels(output, headDim, kColumns),
                          key == 0 ? Start::kZero : Start::kAccumulate);
    }
  }

  for (Index panel = 0; panel < panels; ++panel) {
    T* output = task.output.panel(panel);
    if (task.keys.rows == 0) std::fill_n(output, headDim * kColumns, T(0));
    runningOf(panel).inverseSum(factors.data());
    scaleTokens(output, headDim, factors.data());
    if (task.logSumExp != nullptr) {
      runningOf(panel).logSumExp(factors.data());
      const Index token = panel * kColumns;
      std::copy_n(factors.data(), std::min(kColumns, task.query.columns - token), task.logSumExp + token);
    }
  }
}

#define CROSS_ATTENTION_INSTANTIATE(T)                    \
  template void flashForward(const FlashForward<T>&, T*); \
  template ByteCount flashForwardScratch<T>(Index, Index);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::attention
