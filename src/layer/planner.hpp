#pragma once

#include "layer/configuration.hpp"

namespace cross_attention::layer {

/// Returns the number of tasks that keeps all threads of the pool busy almost to the end.
Index tasksForThreads();
/// The number of tasks that makes each short enough for a thread that has to respond in between.
inline constexpr Index kTasksForSlices = 32;

/// Up to this many keys are one tile: the context of a prompt has 77 keys, or two or three times as many. A
/// folded context is always one tile.
inline constexpr Index kSingleTileKeys = 256;

/// The block sizes of a forward pass.
struct Plan {
  /// Tokens of one task, a multiple of kTileColumns.
  Index tokenBlock;
  /// Keys of one attention tile, a multiple of kTileRows.
  Index keyBlock;
};

/// The sizes of a forward pass.
struct ForwardWork {
  Index batch;
  /// Tokens of one batch row.
  Index tokens;
  Index keys;
  /// See foldsContext in layer/cost.
  bool folded;
  /// The pass is split into at least this many tasks if it has enough tokens, for threads or for short slices
  /// of time.
  Index minTasks;
};

/// Plans blocks of as many tokens as fit well into a second-level cache of 1 MiB: a product reads at most 384
/// rows at a time of a block's input and queries (or, if the context is folded, of the probabilities of all
/// heads). Larger blocks read the weights less often. The results do not depend on tokenBlock, and on
/// keyBlock only by rounding.
template <class T>
Plan planForward(const Configuration& configuration, const ForwardWork& work);

/// The sizes of a backward pass. They do not depend on the number of threads, because the chunks decide the
/// order in which gradients are summed.
struct BackwardPlan {
  /// Tokens whose six matrices of channels × chunk are in memory at a time; a multiple of tokenBlock.
  Index chunk;
  /// Tokens of one block, a multiple of kTileColumns.
  Index tokenBlock;
  /// Keys of one attention tile, a multiple of kTileRows.
  Index keyBlock;
};
template <class T>
BackwardPlan planBackward(const Configuration& configuration, Index tokens, Index keys, bool folded);

/// Returns the rows of a gradient that one task of a backward pass sums, a multiple of kTileRows. Few rows
/// are split, too, so that several threads have work.
template <class T>
Index planTaskRows(Index rows);

}  // namespace cross_attention::layer
