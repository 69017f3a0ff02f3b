#pragma once

#include "attention/scores.hpp"

namespace cross_attention::attention {

/// One head's softmax probabilities for one block of tokens, added to a map.
template <class T>
struct Probabilities {
  linalg::ColumnPanels<const T> query;  ///< headDim × tokens
  linalg::RowPanels<T> keys;            ///< keys × headDim, · softmax scale · log2(e)
  HeadMask<T> mask;                     ///< from the block's first token
  Index keyBlock;                       ///< keys at a time, a multiple of kTileRows
  T weight;                   ///< what the probabilities are multiplied by: 1/heads for a mean
  linalg::MatrixView<T> map;  ///< all keys of the context × tokens; added to
  const Index* keyNumbers;    ///< the row of each key in the map; null: its own number
};

template <class T>
void addProbabilities(const Probabilities<T>& task, T* scratch);

/// Elements of scratch that addProbabilities takes.
template <class T>
ByteCount probabilitiesScratch(Index keyBlock);

}  // namespace cross_attention::attention
