#pragma once

#include "layer/configuration.hpp"

namespace cross_attention::layer {

/// Tasks that keep all threads of the pool busy to the end, nearly.
Index tasksForThreads();
/// Tasks that leave each short enough for a thread that has to answer in between.
inline constexpr Index kTasksForSlices = 32;

/// The sizes of the blocks that a pass works in.
struct Plan {
  Index tokenBlock;  ///< tokens of one task, a multiple of kTileColumns
  Index keyBlock;    ///< keys of one attention tile, a multiple of kTileRows
};

/// What a forward has to do.
struct ForwardWork {
  Index batch;
  Index tokens;  ///< of a batch row
  Index keys;
  bool folded;  ///< see foldsContext
  Index
      leastTasks;  ///< at least so many, as far as there are tokens: for threads, or for short slices of time
};

/// Blocks of as many tokens as a second-level cache of 1 MiB takes well: of a block's input and queries (or, where the
/// context is folded, the probabilities of all heads) a product works on no more than 384 rows at a time. Larger blocks
/// read the weights less often. The results do not depend on tokenBlock; on keyBlock only by rounding.
template <class T>
Plan planForward(const Configuration& configuration, const ForwardWork& work);

/// Whether it is less work to fold the context's keys and values with the weights first (see FoldedContext), for `tokens`
/// of the image that share a context of `keys` keys:
///   4·N·C² + 4·N·L·C operations as written, 4·L·C² + 4·N·heads·L·C folded.
/// Decided by the shapes and the number of attended keys alone, not by what is cached: the same call gives the same bits.
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
BackwardPlan planBackward(const Configuration& configuration, Index tokens, Index keys,
                          bool folded);

/// Rows of a gradient that one task of a backward sums up, a multiple of kTileRows: few rows have work for several
/// threads, too.
template <class T>
Index planTaskRows(Index rows);

}  // namespace cross_attention::layer
