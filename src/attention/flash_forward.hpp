#pragma once

#include "attention/group_sums.hpp"
#include "attention/scores.hpp"

namespace cross_attention::attention {

/// The attention of one head for one block of tokens.
template <class T>
struct FlashForward {
  linalg::ColumnPanels<const T> query;    ///< headDim × tokens
  linalg::RowPanels<T> keys;              ///< keys × headDim, · softmax scale · log2(e)
  linalg::RowPanels<T> valuesTransposed;  ///< headDim × keys
  HeadMask<T> mask;                       ///< from the block's first token
  Index keyBlock;                         ///< keys at a time, a multiple of kTileRows
  linalg::ColumnPanels<T> output;         ///< headDim × tokens; must not alias the query
  T* logSumExp;                           ///< one per token, or null if not needed
  GroupSums<T> recorded = {};
};

/// Computes output = softmax(query · keys + mask) · values, one block of keys at a time with a running
/// maximum and sum. At most keyBlock × kTileColumns scores exist at a time. A token that may attend to no key
/// gets zeros. Based on: Dao et al., "FlashAttention" (2022), algorithm 1, with the online softmax of Milakov
/// and Gimelshein (2018).
template <class T>
void flashForward(const FlashForward<T>& task, T* scratch);

/// Returns the elements of scratch that flashForward uses. `groups`: those of the recorded sums.
template <class T>
ByteCount flashForwardScratch(Index tokens, Index keyBlock, Index groups = 0);

}  // namespace cross_attention::attention
