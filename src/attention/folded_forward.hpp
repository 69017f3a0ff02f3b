#pragma once

#include "attention/scores.hpp"

namespace cross_attention::attention {

/// All heads' softmax probabilities for one block of tokens, from keys folded with the query weights.
template <class T>
struct FoldedForward {
  linalg::ColumnPanels<const T> input;  ///< channels × tokens
  linalg::RowPanels<T> keys;  ///< heads · headStride × channels, · softmax scale · log2(e)
  Index heads;
  Index headStride;      ///< rows from one head to the next
  Index keysPerHead;     ///< the rows of a head that are keys; the others get zeros
  HeadMask<T> mask;      ///< of the first head, from the block's first token
  Index maskHeadStride;  ///< elements of the mask from one head to the next
  linalg::ColumnPanels<T> probabilities;  ///< heads · headStride × tokens
  T* logSumExp;                           ///< one a token, or null where nobody needs them
  Index logSumExpHeadStride;              ///< elements from one head to the next
};

/// probabilities of head h = softmax(keys of h · input + mask of h): the left operand's rows of all heads in one product.
/// A token that may attend to nothing gets zeros.
template <class T>
void foldedForward(const FoldedForward<T>& task);

}  // namespace cross_attention::attention
