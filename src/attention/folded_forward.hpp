#pragma once

#include "attention/group_sums.hpp"
#include "attention/scores.hpp"

namespace cross_attention::attention {

/// The softmax probabilities of all heads for one block of tokens, from keys folded with the query weights.
template <class T>
struct FoldedForward {
  linalg::ColumnPanels<const T> input;  ///< channels × tokens
  linalg::RowPanels<T> keys;            ///< heads · headStride × channels, · softmax scale · log2(e)
  const T* keyBias;                     ///< added to the scores, one per row of keys; null for none
  Index heads;
  Index headStride;                       ///< rows from one head to the next
  Index keysPerHead;                      ///< rows of a head that are keys; the others become zero
  HeadMask<T> mask;                       ///< of the first head, from the block's first token
  Index maskHeadStride;                   ///< elements of the mask from one head to the next
  linalg::ColumnPanels<T> probabilities;  ///< heads · headStride × tokens
  T* logSumExp;                           ///< one per token, or null if not needed
  Index logSumExpHeadStride;              ///< elements from one head to the next
  GroupSums<T> recorded = {};
};

/// Computes, for each head h, probabilities = softmax(keys of h · input + mask of h), with the rows of all
/// heads in one product. A token that may attend to no key gets zeros.
template <class T>
void foldedForward(const FoldedForward<T>& task);

}  // namespace cross_attention::attention
