#pragma once

#include "attention/scores.hpp"

namespace cross_attention::attention {

/// The gradients of one head for a chunk of tokens.
template <class T>
struct FlashBackward {
  linalg::ColumnPanels<const T> query;           ///< headDim × tokens
  linalg::ColumnPanels<const T> outputGradient;  ///< headDim × tokens: dL/d(output)
  linalg::RowPanels<T> keys;                     ///< keys × headDim, · softmax scale · log2(e)
  linalg::RowPanels<T> keysTransposed;           ///< headDim × keys, · softmax scale · log2(e)
  linalg::RowPanels<T> values;                   ///< keys × headDim
  linalg::RowPanels<T> valuesTransposed;         ///< headDim × keys
  HeadMask<T> mask;                              ///< from the chunk's first token
  const T* logSumExp;                            ///< one per token, from the forward pass
  Index tokenBlock;                              ///< tokens at a time, a multiple of kTileColumns
  Index keyBlock;                                ///< keys at a time, a multiple of kTileRows
  linalg::ColumnPanels<T> output;                ///< headDim × tokens, recomputed
  linalg::ColumnPanels<T> queryGradient;         ///< headDim × tokens
  /// headDim × keys, with kTileColumns spare columns in each row. Accumulated into. keyGradient lacks the
  /// factor that `keys` contain: multiply by it at the end.
  linalg::MatrixView<T> keyGradient, valueGradient;
};

/// Computes the gradients of flashForward from its log-sum-exp, tile by tile. With recomputed P = 2^(S -
/// logSumExp):
///   dV += Pᵀ·dO   dP = dO·Vᵀ   dS = ln2·P ∘ (dP - rowsum(O ∘ dO))   dQ = dS·K   dK += dSᵀ·Q
/// At most tokenBlock × keyBlock probabilities exist at a time. Based on: Dao, "FlashAttention-2" (2023),
/// algorithm 2.
template <class T>
void flashBackward(const FlashBackward<T>& task, T* scratch);

/// Returns the elements of scratch that flashBackward uses.
template <class T>
ByteCount flashBackwardScratch(Index headDim, Index tokenBlock, Index keyBlock);

}  // namespace cross_attention::attention
