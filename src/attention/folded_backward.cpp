#include "attention/folded_backward.hpp"

#include <algorithm>
#include <array>

#include "attention/softmax_gradient.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::attention {

using linalg::kTileColumns;

template <class T>
void foldedBackward(const FoldedBackward<T>& task) {
  constexpr Index kColumns = kTileColumns<T>;
  linalg::multiply<T>(task.keys, task.input, task.probabilities);
  linalg::multiply<T>(task.values, task.outputGradient, task.scoreGradients);
  std::array<T, kColumns> logSumExp, factors;
  for (Index panel = 0; panel < task.input.panels(); ++panel) {
    const Index token = panel * kColumns;
    const Index tokens = std::min(kColumns, task.input.columns - token);
    for (Index head = 0; head < task.heads; ++head) {
      const Index offset = head * task.headStride * kColumns;
      T* probabilities = task.probabilities.panel(panel) + offset;
      T* gradients = task.scoreGradients.panel(panel) + offset;
      // Padding tokens of the last panel attend to no key.
      logSumExp.fill(std::numeric_limits<T>::infinity());
      std::copy_n(task.logSumExp + head * task.logSumExpHeadStride + token, tokens, logSumExp.data());
      addMask(task.mask.fromHead(head, task.maskHeadStride).fromToken(token), 0, tokens, task.keysPerHead,
              probabilities);
      toProbabilities(probabilities, task.keysPerHead, logSumExp.data());
      factors.fill(T(0));
      addRows(probabilities, task.keysPerHead, factors.data());
      invertSums(factors.data(), factors.data());
      scaleTokens(probabilities, task.keysPerHead, factors.data());
      sumOfProducts(probabilities, gradients, task.keysPerHead, factors.data());
      toScoreGradients(probabilities, task.keysPerHead, factors.data(), gradients);
      for (T* rows : {probabilities, gradients}) {
        std::fill(rows + task.keysPerHead * kColumns, rows + task.headStride * kColumns, T(0));
      }
    }
  }
}

template void foldedBackward(const FoldedBackward<float>&);
template void foldedBackward(const FoldedBackward<double>&);

}  // namespace cross_attention::attention
