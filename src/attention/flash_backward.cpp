#include "attention/flash_backward.hpp"

#include <algorithm>
#include <limits>

#include "attention/softmax_gradient.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::attention {

namespace {

using linalg::ColumnPanels;
using linalg::columnPanels;
using linalg::kTileColumns;
using linalg::kTileRows;
using linalg::RowPanels;
using linalg::Start;

/// Computes the gradients of one block of tokens. Its arrays lie in scratch.
template <class T>
class TokenBlock {
 public:
  static constexpr Index kColumns = kTileColumns<T>;

  static ByteCount scratchSize(Index headDim, Index tokenBlock, Index keyBlock) {
    const ByteCount tiles = 2 * ByteCount{keyBlock} * tokenBlock;
    const ByteCount transposed = linalg::columnPanelsSize<T>(tokenBlock, keyBlock);
    return tiles + transposed + 2 * linalg::rowPanelsSize<T>(headDim, tokenBlock) + 3 * tokenBlock;
  }

  TokenBlock(const FlashBackward<T>& task, Index begin, Index tokens, T* scratch)
      : task_(task),
        begin_(begin),
        tokens_(tokens),
        panels_(ceilDivide(tokens, kColumns)),
        keys_(task.mask.keysUpTo(begin + tokens - 1, task.keys.rows)),
        query_(task.query.panelRange(begin / kColumns, begin / kColumns + panels_)),
        outputGradient_(task.outputGradient.panelRange(begin / kColumns, begin / kColumns + panels_)) {
    const Index headDim = task.query.depth;
    probabilities_ = scratch;
    scoreGradients_ = probabilities_ + task.keyBlock * task.tokenBlock;
    transposed_ = scoreGradients_ + task.keyBlock * task.tokenBlock;
    T* queryRows = transposed_ + linalg::columnPanelsSize<T>(task.tokenBlock, task.keyBlock);
    T* gradientRows = queryRows + linalg::rowPanelsSize<T>(headDim, task.tokenBlock);
    logSumExp_ = gradientRows + linalg::rowPanelsSize<T>(headDim, task.tokenBlock);
    delta_ = logSumExp_ + task.tokenBlock;
    inverseSums_ = delta_ + task.tokenBlock;
    queryRows_ = linalg::packRows<T>(query_, queryRows);
    gradientRows_ = linalg::packRows<T>(outputGradient_, gradientRows);
    // Padding tokens of the last panel attend to no key.
    std::fill_n(logSumExp_, panels_ * kColumns, std::numeric_limits<T>::infinity());
    std::copy_n(task.logSumExp + begin, tokens, logSumExp_);
  }

  void run() const {
    for (Index panel = 0; panel < panels_; ++panel) {
      std::fill_n(output(panel), task_.output.depth * kColumns, T(0));
      std::fill_n(queryGradient(panel), task_.query.depth * kColumns, T(0));
    }
    std::fill_n(inverseSums_, panels_ * kColumns, T(0));
    for (Index key = 0; key < keys_; key += task_.keyBlock) {
      computeProbabilities(key);
      addOutput(key);
    }
    for (Index panel = 0; panel < panels_; ++panel) {
      T* inverse = inverseSums_ + panel * kColumns;
      invertSums(inverse, inverse);
      scaleTokens(output(panel), task_.output.depth, inverse);
      sumOfProducts(output(panel), outputGradient_.panel(panel), task_.output.depth,
                    delta_ + panel * kColumns);
    }
    for (Index key = 0; key < keys_; key += task_.keyBlock) {
      if (keys_ > task_.keyBlock) computeProbabilities(key);
      normalize(key);
      computeScoreGradients(key);
      addKeyAndValueGradients(key);
    }
  }

 private:
  Index keysFrom(Index key) const { return std::min(task_.keyBlock, keys_ - key); }
  T* output(Index panel) const { return task_.output.panel(begin_ / kColumns + panel); }
  T* queryGradient(Index panel) const { return task_.queryGradient.panel(begin_ / kColumns + panel); }
  RowPanels<T> keyRange(const RowPanels<T>& rows, Index key) const {
    return rows.panelRange(key / kTileRows<T>, ceilDivide(key + keysFrom(key), kTileRows<T>));
  }
  /// Returns one panel of tokens of a keys × tokens tile.
  T* tilePanel(T* tile, Index key, Index panel) const { return tile + panel * keysFrom(key) * kColumns; }

  void computeProbabilities(Index key) const {
    for (Index panel = 0; panel < panels_; ++panel) {
      T* probabilities = tilePanel(probabilities_, key, panel);
      const Index token = panel * kColumns;
      computeScores(keyRange(task_.keys, key), query_.panel(panel), task_.mask.fromToken(begin_ + token), key,
                    std::min(kColumns, tokens_ - token), probabilities);
      toProbabilities(probabilities, keysFrom(key), logSumExp_ + token);
    }
  }

  void normalize(Index key) const {
    for (Index panel = 0; panel < panels_; ++panel) {
      scaleTokens(tilePanel(probabilities_, key, panel), keysFrom(key), inverseSums_ + panel * kColumns);
    }
  }

  /// Accumulates the output and the sums of the probabilities, both not normalized yet.
  void addOutput(Index key) const {
    const RowPanels<T> values = task_.valuesTransposed.depthRange(key, keysFrom(key));
    for (Index panel = 0; panel < panels_; ++panel) {
      const T* probabilities = tilePanel(probabilities_, key, panel);
      addRows(probabilities, keysFrom(key), inverseSums_ + panel * kColumns);
      linalg::multiply<T>(values, columnPanels(probabilities, keysFrom(key), kColumns),
                          columnPanels(output(panel), values.rows, kColumns), Start::kAccumulate);
    }
  }

  void computeScoreGradients(Index key) const {
    const RowPanels<T> values = keyRange(task_.values, key);
    const RowPanels<T> keys = task_.keysTransposed.depthRange(key, keysFrom(key));
    for (Index panel = 0; panel < panels_; ++panel) {
      T* gradients = tilePanel(scoreGradients_, key, panel);
      linalg::multiply<T>(values, columnPanels(outputGradient_.panel(panel), values.depth, kColumns),
                          columnPanels(gradients, values.rows, kColumns));
      toScoreGradients(tilePanel(probabilities_, key, panel), keysFrom(key), delta_ + panel * kColumns,
                       gradients);
      linalg::multiply<T>(keys, columnPanels<const T>(gradients, keysFrom(key), kColumns),
                          columnPanels(queryGradient(panel), keys.rows, kColumns), Start::kAccumulate);
    }
  }

  void addKeyAndValueGradients(Index key) const {
    const Index keys = keysFrom(key);
    const auto add = [&](const T* tile, const RowPanels<T>& rows, linalg::MatrixView<T> gradient) {
      const ColumnPanels<T> transposed =
          linalg::packTransposed(columnPanels(tile, keys, tokens_), transposed_);
      // Writes whole tiles: the padding columns of the last panel are zero, and add nothing to the memory
      // behind.
      linalg::multiply<T>(rows, transposed, gradient.columnRange(key, roundUp(keys, kColumns)),
                          Start::kAccumulate);
    };
    add(probabilities_, gradientRows_, task_.valueGradient);
    add(scoreGradients_, queryRows_, task_.keyGradient);
  }

  const FlashBackward<T>& task_;
  Index begin_;
  Index tokens_;
  Index panels_;
  /// Keys that the block attends to.
  Index keys_;
  ColumnPanels<const T> query_;
  ColumnPanels<const T> outputGradient_;
  RowPanels<T> queryRows_;
  RowPanels<T> gradientRows_;
  T* probabilities_;
  T* scoreGradients_;
  T* transposed_;
  T* logSumExp_;
  T* delta_;
  /// Factors that normalize the probabilities. Log-sum-exp is rounded, so 2^(scores - logSumExp) does not add
  /// up to 1 if scores are large.
  T* inverseSums_;
};

}  // namespace

template <class T>
ByteCount flashBackwardScratch(Index headDim, Index tokenBlock, Index keyBlock) {
  return TokenBlock<T>::scratchSize(headDim, tokenBlock, keyBlock);
}

template <class T>
void flashBackward(const FlashBackward<T>& task, T* scratch) {
  for (Index begin = 0; begin < task.query.columns; begin += task.tokenBlock) {
    const Index tokens = std::min(task.tokenBlock, task.query.columns - begin);
    TokenBlock<T>(task, begin, tokens, scratch).run();
  }
}

#define CROSS_ATTENTION_INSTANTIATE(T)                      \
  template void flashBackward(const FlashBackward<T>&, T*); \
  template ByteCount flashBackwardScratch<T>(Index, Index, Index);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::attention
