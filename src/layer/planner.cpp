#include "layer/planner.hpp"

#include <algorithm>

#include "core/thread_pool.hpp"
#include "linalg/tile.hpp"

namespace cross_attention::layer {

namespace {

using linalg::kTileColumns;
using linalg::kTileRows;

/// The maximum size of a forward pass's block of tokens: see planForward.
constexpr Index kForwardBytes = Index{1280} * 1024;
/// The approximate size of each matrix of a backward pass's chunk. Twice as much if the context is folded,
/// because the depth of the products that are summed over the chunks is then a chunk's number of tokens.
constexpr Index kChunkBytes = Index{1024} * 1024;
/// Weights of few channels stay in the second-level cache, so that reading them again costs almost nothing.
constexpr Index kFewChannels = 512;
constexpr Index kMaxTokensOfFewChannels = 96;
constexpr Index kMaxTokens = 128;
/// For a backward pass without folding: it stores a head's tiles of tokens × keys twice, and transposed.
constexpr Index kMaxTokensOfTiles = 64;
/// Chunks and rows are split into multiples of so many blocks, which two and four threads share evenly.
constexpr Index kBlockGroup = 4;
/// Smaller blocks would read the weights too often.
constexpr Index kMinTokens = 32;
/// Keys of one tile if there are several tiles.
constexpr Index kTileKeys = 128;

/// Returns the size of equal blocks of at most `max` that cover `count`, rounded up to whole tiles.
Index evenBlock(Index count, Index max, Index multiple) {
  const Index blocks = std::max<Index>(1, ceilDivide(count, max));
  return std::max(multiple, roundUp(ceilDivide(count, blocks), multiple));
}

template <class T>
Index planKeyBlock(const Configuration& configuration, Index keys) {
  if (configuration.keyBlock > 0) {
    return roundUp(std::clamp<Index>(keys, 1, configuration.keyBlock), kTileRows<T>);
  }
  return evenBlock(keys, keys <= kSingleTileKeys ? kSingleTileKeys : kTileKeys, kTileRows<T>);
}

}  // namespace

Index tasksForThreads() { return Index{2} * ThreadPool::shared().threads(); }

template <class T>
Plan planForward(const Configuration& configuration, const ForwardWork& work) {
  constexpr Index kColumns = kTileColumns<T>;
  const Index channels = configuration.maxChannels();
  const Index rows = work.folded ? channels + configuration.numHeads * work.keys : 2 * channels;
  const Index fitting = kForwardBytes / (rows * static_cast<Index>(sizeof(T)));
  const Index perTask = ceilDivide(work.batch * work.tokens, std::max<Index>(1, work.minTasks));
  const Index useful = channels < kFewChannels ? kMaxTokensOfFewChannels : kMaxTokens;
  const Index wanted = std::min({fitting, useful, std::max(perTask, kMinTokens)});
  Index max = std::max(wanted / kColumns, Index{2}) * kColumns;
  if (configuration.tokenBlock > 0) max = roundUp(configuration.tokenBlock, kColumns);
  return {evenBlock(work.tokens, max, kColumns), planKeyBlock<T>(configuration, work.keys)};
}

template <class T>
BackwardPlan planBackward(const Configuration& configuration, Index tokens, Index keys, bool folded) {
  constexpr Index kColumns = kTileColumns<T>;
  // The tokens of a small image are split, too, so that several threads have work.
  const Index perBlock = roundUp(ceilDivide(tokens, kBlockGroup), kColumns);
  Index tokenBlock =
      std::max(kColumns, std::min(folded ? kMaxTokens : kMaxTokensOfTiles, std::max(perBlock, kMinTokens)));
  if (configuration.tokenBlock > 0) tokenBlock = roundUp(configuration.tokenBlock, kColumns);
  tokenBlock = std::min(tokenBlock, roundUp(std::max<Index>(1, tokens), kColumns));
  const Index fitting = (folded ? 2 : 1) * kChunkBytes /
                        (configuration.maxChannels() * static_cast<Index>(sizeof(T))) / tokenBlock;
  const Index blocks = ceilDivide(std::max<Index>(1, tokens), tokenBlock);
  // If it costs little more memory, chunks are groups of blocks: two or four threads then have as many blocks
  // each.
  const bool groupsBlocks = !folded && fitting >= kBlockGroup - 1;
  const Index chunkBlocks =
      std::min(blocks, evenBlock(blocks, std::max<Index>(1, fitting), groupsBlocks ? kBlockGroup : 1));
  return {chunkBlocks * tokenBlock, tokenBlock, planKeyBlock<T>(configuration, keys)};
}

template <class T>
Index planTaskRows(Index rows) {
  constexpr Index kMaxRows = 8 * kTileRows<T>;
  const Index perTask = ceilDivide(std::max<Index>(1, rows), kBlockGroup);
  return std::min(kMaxRows, roundUp(perTask, kTileRows<T>));
}

template Plan planForward<float>(const Configuration&, const ForwardWork&);
template Plan planForward<double>(const Configuration&, const ForwardWork&);
template BackwardPlan planBackward<float>(const Configuration&, Index, Index, bool);
template BackwardPlan planBackward<double>(const Configuration&, Index, Index, bool);
template Index planTaskRows<float>(Index);
template Index planTaskRows<double>(Index);

}  // namespace cross_attention::layer
