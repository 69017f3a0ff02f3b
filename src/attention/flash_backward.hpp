#pragma once

#include "attention/scores.hpp"

namespace cross_attention::attention {

/// One head's gradients for a chunk of tokens.
template <class T>
struct FlashBackward {
  linalg::ColumnPanels<const T> query;           ///< headDim × tokens
  linalg::ColumnPanels<const T> outputGradient;  ///< headDim × tokens: dL/d(output)
  linalg::RowPanels<T> keys;                     ///< keys × headDim, · softmax scale · log2(e)
  linalg::RowPanels<T> keysTransposed;           ///< headDim × keys, · softmax scale · log2(e)
  linalg::RowPanels<T> values;                   ///< keys × headDim
  linalg::RowPanels<T> valuesTransposed;         ///< headDim × keys
  HeadMask<T> mask;                              ///< from the chunk's first token
  const T* logSumExp;                            ///< one a token, from the forward pass
  Index tokenBlock;                              ///< tokens at a time, a multiple of kTileColumns
  Index keyBlock;                                ///< keys at a time, a multiple of kTileRows
  linalg::ColumnPanels<T> output;                ///< headDim × tokens, computed again
  linalg::ColumnPanels<T> queryGradient;         ///< headDim × tokens
  /// headDim × keys, with room for kTileColumns more columns in each row; added to. The gradient of the keys lacks the
  /// factor that the keys have: multiply by it at the end.
  linalg::MatrixView<T> keyGradient, valueGradient;
};

/// The gradients of flashForward from its log-sum-exp, tile by tile: with P = 2^(S - logSumExp) computed again,
///   dV += Pᵀ·dO   dP = dO·Vᵀ   dS = ln2·P ∘ (dP - rowsum(O ∘ dO))   dQ = dS·K   dK += dSᵀ·Q
/// (Dao, "FlashAttention-2" (2023), algorithm 2). No more than tokenBlock × keyBlock probabilities exist at a time.
template <class T>
void flashBackward(const FlashBackward<T>& task, T* scratch);

/// Elements of scratch that flashBackward takes.
template <class T>
ByteCount flashBackwardScratch(Index headDim, Index tokenBlock, Index keyBlock);

}  // namespace cross_attention::attention
