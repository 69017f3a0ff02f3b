#pragma once

#include "layer/configuration.hpp"

namespace cross_attention::layer {

/// The sizes of the blocks that a pass works in.
struct Plan {
  Index tokenBlock;  ///< tokens of one task, a multiple of kTileColumns
  Index keyBlock;    ///< keys of one attention tile, a multiple of kTileRows
};

/// For a forward over `tokens` tokens a batch row: the inputs and the queries of a block (or, where the context is folded,
/// the probabilities of all heads) stay in half of a 1 MiB second-level cache. The results do not depend on tokenBlock; on keyBlock only by rounding.
template <class T>
Plan planForward(const Configuration& configuration, Index tokens, Index keys, bool folded = false);

/// Whether it is less work to fold the context's keys and values with the weights first (see FoldedContext), for `tokens`
/// of the image that share a context of `keys` keys:
///   4·N·C² + 4·N·L·C operations as written, 4·L·C² + 4·N·heads·L·C folded.
/// Decided by the shapes alone, not by what is cached: the same call gives the same bits.
template <class T>
bool foldsContext(const Configuration& configuration, Index tokens, Index keys);

/// The sizes of a backward: chunks of tokens whose six matrices of queryDim × chunk are held at a time, worked on in
/// blocks. Never by the number of threads: chunks decide in which order gradients are summed.
struct BackwardPlan {
  Index chunk;       ///< tokens, a multiple of tokenBlock
  Index tokenBlock;  ///< tokens of one block, a multiple of kTileColumns
  Index keyBlock;    ///< keys of one attention tile, a multiple of kTileRows
};
template <class T>
BackwardPlan planBackward(const Configuration& configuration, Index tokens, Index keys);

}  // namespace cross_attention::layer
