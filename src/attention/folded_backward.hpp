#pragma once

#include "attention/scores.hpp"

namespace cross_attention::attention {

/// The gradients of all heads' scores for one block of tokens, from keys and values folded with the weights.
template <class T>
struct FoldedBackward {
  linalg::ColumnPanels<const T> input;           ///< channels × tokens
  linalg::ColumnPanels<const T> outputGradient;  ///< channels × tokens: dL/d(layer output)
  linalg::RowPanels<T> keys;    ///< heads · headStride × channels, · softmax scale · log2(e)
  linalg::RowPanels<T> values;  ///< heads · headStride × channels
  Index heads;
  Index headStride;                        ///< rows from one head to the next
  Index keysPerHead;                       ///< rows of a head that are keys; the others become zero
  HeadMask<T> mask;                        ///< of the first head, from the block's first token
  Index maskHeadStride;                    ///< elements of the mask from one head to the next
  const T* logSumExp;                      ///< one per token, from the forward pass
  Index logSumExpHeadStride;               ///< elements from one head to the next
  linalg::ColumnPanels<T> probabilities;   ///< heads · headStride × tokens, recomputed
  linalg::ColumnPanels<T> scoreGradients;  ///< heads · headStride × tokens
};

/// Computes, with P = 2^(keys · input + mask - logSumExp) divided by its sum (see flashBackward):
///   dP = values · dOutput   dS = ln2·P ∘ (dP - rowsum(P ∘ dP))
template <class T>
void foldedBackward(const FoldedBackward<T>& task);

}  // namespace cross_attention::attention
