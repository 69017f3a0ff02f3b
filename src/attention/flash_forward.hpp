#pragma once

#include "attention/scores.hpp"

namespace cross_attention::attention {

/// One head's attention for one block of tokens.
template <class T>
struct FlashForward {
  linalg::ColumnPanels<const T> query;    ///< headDim × tokens
  linalg::RowPanels<T> keys;              ///< keys × headDim, · softmax scale · log2(e)
  linalg::RowPanels<T> valuesTransposed;  ///< headDim × keys
  HeadMask<T> mask;                       ///< from the block's first token
  Index keyBlock;                         ///< keys at a time, a multiple of kTileRows
  linalg::ColumnPanels<T> output;         ///< headDim × tokens; not the query's memory
  T* logSumExp;                           ///< one a token, or null where nobody needs them
};

/// output = softmax(query · keys + mask) · values, block of keys by block of keys with a running maximum and sum, so that
/// no more than keyBlock × kTileColumns scores exist at a time: Dao et al., "FlashAttention" (2022), algorithm 1, with the
/// softmax of Milakov and Gimelshein (2018). A token that may attend to nothing gets zeros.
template <class T>
void flashForward(const FlashForward<T>& task, T* scratch);

/// Elements of scratch that flashForward takes.
template <class T>
ByteCount flashForwardScratch(Index tokens, Index keyBlock);

}  // namespace cross_attention::attention
