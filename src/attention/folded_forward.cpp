#include "attention/folded_forward.hpp"

#include <algorithm>
#include <array>

#include "linalg/multiply.hpp"

namespace cross_attention::attention {

using linalg::kTileColumns;

template <class T>
void foldedForward(const FoldedForward<T>& task) {
  constexpr Index kColumns = kTileColumns<T>;
  linalg::multiply<T>(task.keys, task.input, task.probabilities,
                      task.keyBias == nullptr ? linalg::Start::kZero : linalg::Start::kBias, task.keyBias);
  std::array<T, kColumns> maximum, sum, factors;
  const RunningSoftmax<T> running{maximum.data(), sum.data()};
  for (Index panel = 0; panel < task.input.panels(); ++panel) {
    const Index token = panel * kColumns;
    const Index tokens = std::min(kColumns, task.input.columns - token);
    for (Index head = 0; head < task.heads; ++head) {
      T* scores = task.probabilities.panel(panel) + head * task.headStride * kColumns;
      addMask(task.mask.fromHead(head, task.maskHeadStride).fromToken(token), 0, tokens, task.keysPerHead,
              scores);
      running.begin();
      running.add(scores, task.keysPerHead, factors.data());
      running.inverseSum(factors.data());
      scaleTokens(scores, task.keysPerHead, factors.data());
      for (const auto& [key, group] : task.recorded.keys) {
        addRow(scores + key * kColumns, tokens, task.recorded.at(group, token));
      }
      std::fill(scores + task.keysPerHead * kColumns, scores + task.headStride * kColumns, T(0));
      if (task.logSumExp != nullptr) {
        running.logSumExp(factors.data());
        std::copy_n(factors.data(), tokens, task.logSumExp + head * task.logSumExpHeadStride + token);
      }
    }
  }
}

template void foldedForward(const FoldedForward<float>&);
template void foldedForward(const FoldedForward<double>&);

}  // namespace cross_attention::attention
