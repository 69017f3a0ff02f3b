#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/panels.hpp"

/// Attention on queries, keys and values of one head, without weights. All of it works on panels: the tokens of an image
/// lie side by side in the lanes of a vector, so that maximum and sum over the keys run down the rows of a panel and
/// never across a vector.
///
/// Scores are in base two: log2(e) times the scores of the textbook, so that softmax takes 2^x, which is cheaper than e^x
/// and gives the same probabilities. Whoever packs keys multiplies them by log2(e) along with the softmax scale; an
/// additive mask is multiplied when it is added. A log-sum-exp is the base-two logarithm of Σ 2^score.
namespace cross_attention::attention {

inline constexpr double kLog2E = 1.4426950408889634074;
inline constexpr double kLn2 = 0.69314718055994530942;

/// A score of the textbook in base two. What is finite stays finite: a row of the lowest numbers, as some put into a mask
/// for "ignore", is not a row of -infinity.
template <class T>
inline T toBaseTwo(T score) {
  using Limits = std::numeric_limits<T>;
  const T scaled = score * static_cast<T>(kLog2E);
  return std::isfinite(score) ? std::clamp(scaled, Limits::lowest(), Limits::max()) : scaled;
}

/// An additive mask as one head of one batch row sees it: value (token, key) at data[token · tokenStride + key]; a
/// stride of 0 means the same for all tokens. No data: no mask.
template <class T>
struct HeadMask {
  const T* data = nullptr;
  Index tokenStride = 0;

  HeadMask fromToken(Index token) const {
    return {data == nullptr ? nullptr : data + token * tokenStride, tokenStride};
  }
  HeadMask fromHead(Index head, Index headStride) const {
    return {data == nullptr ? nullptr : data + head * headStride, tokenStride};
  }
};

/// Adds the mask to a panel's scores (count × kTileColumns), `firstKey` being the number of the first key in the mask.
/// `mask` starts at the panel's first token.
template <class T>
void addMask(HeadMask<T> mask, Index firstKey, Index tokens, Index count, T* scores);

/// The scores of one panel of tokens: `scores` (keys.rows × kTileColumns) = keys · query + mask.
/// `keys`: keys × headDim, already multiplied by the softmax scale and log2(e), `firstKey` being the number of the first one in the
/// mask. `query`: one panel, headDim × `tokens` (≤ kTileColumns). `mask` starts at the panel's first token.
template <class T>
void computeScores(linalg::RowPanels<T> keys, const T* query, HeadMask<T> mask, Index firstKey,
                   Index tokens, T* scores);

/// scores (count × kTileColumns) → 2^(scores - shift of the token): with log-sum-exp for the shift the softmax
/// probabilities, with the maximum what must still be divided by the sum. A shift of -infinity, as a token has that may
/// attend to nothing, gives zeros.
template <class T>
void toProbabilities(T* scores, Index count, const T* shift);

/// Multiplies each row of a panel (rows × kTileColumns), token by token, by `factors`.
template <class T>
void scaleTokens(T* panel, Index rows, const T* factors);

/// 1 / sum of each of kTileColumns tokens, and 0 where the sum is 0: of a token that may attend to nothing.
template <class T>
void invertSums(const T* sums, T* result);

/// The running maximum and sum of one panel's tokens over the keys seen so far.
template <class T>
struct RunningSoftmax {
  T* maximum;  ///< kTileColumns values, -infinity before the first key
  T* sum;      ///< kTileColumns values, of 2^(score - maximum), 0 before the first key

  void begin() const;
  /// Replaces scores (count × kTileColumns) by 2^(score - maximum) with the maximum over all keys up to these.
  /// `correction` (kTileColumns values): what earlier results must be multiplied by. Returns whether any is not 1.
  bool add(T* scores, Index count, T* correction) const;
  /// log-sum-exp of the tokens: -infinity where there was no key or all were masked.
  void logSumExp(T* result) const;
  void inverseSum(T* result) const { invertSums(sum, result); }
};

}  // namespace cross_attention::attention
