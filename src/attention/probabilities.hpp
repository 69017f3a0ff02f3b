#pragma once

#include "attention/scores.hpp"

namespace cross_attention::attention {

/// The softmax probabilities of one head for one block of tokens, accumulated into a map.
template <class T>
struct Probabilities {
  linalg::ColumnPanels<const T> query;  ///< headDim × tokens
  linalg::RowPanels<T> keys;            ///< keys × headDim, · softmax scale · log2(e)
  HeadMask<T> mask;                     ///< from the block's first token
  Index keyBlock;                       ///< keys at a time, a multiple of kTileRows
  /// Factor of the probabilities: 1/heads for a mean over heads.
  T weight;
  linalg::MatrixView<T> map;  ///< all keys of the context × tokens; accumulated into
  const Index* keyIndices;    ///< row of each key in the map; null: its own index
};

template <class T>
void addProbabilities(const Probabilities<T>& task, T* scratch);

/// Returns the elements of scratch that addProbabilities uses.
template <class T>
ByteCount probabilitiesScratch(Index keyBlock);

}  // namespace cross_attention::attention
