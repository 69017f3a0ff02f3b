#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/panels.hpp"

/// Attention on the queries, keys and values of one head, without weights. All functions work on panels: the
/// tokens of an image lie side by side in the lanes of a vector, so that maximum and sum over the keys run
/// down the rows of a panel and never across a vector.
///
/// Scores are in base two: log2(e) times the usual scores. Softmax then uses 2^x, which is cheaper than e^x
/// and gives the same probabilities. The code that packs keys multiplies them by log2(e) along with the
/// softmax scale; an additive mask is multiplied when it is added. A log-sum-exp is the base-two logarithm of
/// Σ 2^score.
namespace cross_attention::attention {

inline constexpr double kLog2E = 1.4426950408889634074;
inline constexpr double kLn2 = 0.69314718055994530942;

/// Converts a score to base two. Finite scores stay finite: a mask row of lowest finite numbers, which some
/// models use for "ignore", must not become a row of -infinity.
template <class T>
inline T toBaseTwo(T score) {
  using Limits = std::numeric_limits<T>;
  const T scaled = score * static_cast<T>(kLog2E);
  return std::isfinite(score) ? std::clamp(scaled, Limits::lowest(), Limits::max()) : scaled;
}

/// The keys that a token attends to in causal attention: the first so many, one more for each token.
struct CausalKeys {
  static constexpr Index kAll = std::numeric_limits<Index>::max();

  /// Keys of the context for the first token; negative if the first tokens attend to none. kAll: attention is
  /// not causal.
  Index first = kAll;
  /// The indices in the context of the keys that a key mask leaves, in ascending order; null for all keys.
  const Index* indices = nullptr;
  Index count = 0;

  bool isCausal() const { return first != kAll; }
  CausalKeys fromToken(Index token) const { return {isCausal() ? first + token : kAll, indices, count}; }
  /// Returns the number of keys that a token attends to.
  Index keysOf(Index token) const {
    if (!isCausal()) return kAll;
    const Index end = std::max<Index>(0, first + token);
    return indices == nullptr ? end : std::lower_bound(indices, indices + count, end) - indices;
  }
};

/// The mask of one head of one batch row. Value (token, key) of an additive mask lies at data[token ·
/// tokenStride + key]. A stride of 0 uses the same row for all tokens. Null data: no additive mask.
template <class T>
struct HeadMask {
  const T* data = nullptr;
  Index tokenStride = 0;
  CausalKeys causal = {};

  HeadMask fromToken(Index token) const {
    return {data == nullptr ? nullptr : data + token * tokenStride, tokenStride, causal.fromToken(token)};
  }
  HeadMask fromHead(Index head, Index headStride) const {
    return {data == nullptr ? nullptr : data + head * headStride, tokenStride, causal};
  }
  /// Returns how many of `keys` keys must be computed for tokens up to `token`: whole panels, at least one.
  /// The others are above the diagonal of causal attention.
  Index keysUpTo(Index token, Index keys) const {
    const Index visible = std::min(keys, std::max<Index>(1, causal.keysOf(token)));
    return std::min(keys, roundUp(visible, linalg::kTileRows<T>));
  }
};

/// Adds the mask to a panel's scores (count × kTileColumns), and replaces those above the diagonal of causal
/// attention by -infinity. `firstKey` is the index of the first key in the mask. `mask` starts at the panel's
/// first token.
template <class T>
void addMask(HeadMask<T> mask, Index firstKey, Index tokens, Index count, T* scores);

/// Computes the scores of one panel of tokens: `scores` (keys.rows × kTileColumns) = keys · query + mask.
///
/// - `keys`: keys × headDim, already multiplied by the softmax scale and log2(e). `firstKey` is the index of
///   the first one in the mask.
/// - `query`: one panel, headDim × `tokens` (≤ kTileColumns).
/// - `mask`: starts at the panel's first token.
template <class T>
void computeScores(linalg::RowPanels<T> keys, const T* query, HeadMask<T> mask, Index firstKey, Index tokens,
                   T* scores);

/// Replaces scores (count × kTileColumns) by 2^(score - shift of the token). If the shift is the log-sum-exp,
/// the results are the softmax probabilities; if it is the maximum, they must still be divided by their sum.
/// A shift of -infinity, for a token that may attend to no key, gives zeros.
template <class T>
void toProbabilities(T* scores, Index count, const T* shift);

/// Multiplies each row of a panel (rows × kTileColumns), token by token, by `factors`.
template <class T>
void scaleTokens(T* panel, Index rows, const T* factors);

/// Adds a row of a panel to `sum`, which has one value for each of `tokens` tokens.
template <class T>
void addRow(const T* row, Index tokens, T* sum);

/// Computes 1 / sum for each of kTileColumns tokens, or 0 if the sum is 0 (a token that may attend to no
/// key).
template <class T>
void invertSums(const T* sums, T* result);

/// The running maximum and sum of one panel's tokens over the keys processed so far.
template <class T>
struct RunningSoftmax {
  T* maximum;  ///< kTileColumns values, -infinity before the first key
  T* sum;      ///< kTileColumns values, of 2^(score - maximum), 0 before the first key

  void begin() const;
  /// Replaces scores (count × kTileColumns) by 2^(score - maximum), with the maximum over all keys so far.
  /// Sets `correction` (kTileColumns values) to the factors for earlier results. Returns true if any factor
  /// is not 1.
  bool add(T* scores, Index count, T* correction) const;
  /// Computes the tokens' log-sum-exp: -infinity if there was no key or all were masked.
  void logSumExp(T* result) const;
  void inverseSum(T* result) const { invertSums(sum, result); }
};

}  // namespace cross_attention::attention
