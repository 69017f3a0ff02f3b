#include "layer/planner.hpp"

#include <algorithm>

#include "core/thread_pool.hpp"
#include "linalg/tile.hpp"

namespace cross_attention::layer {

namespace {

using linalg::kTileColumns;
using linalg::kTileRows;

/// What a forward's block of tokens takes, at the most: see planForward.
constexpr Index kForwardBytes = Index{1280} * 1024;
/// Each of the matrices of a backward's chunk takes so much, nearly; twice as much where the context is folded, for
/// then the depth of the products that are summed up over the chunks is a chunk's tokens.
constexpr Index kChunkBytes = Index{1024} * 1024;
/// Weights of few channels stay in the second-level cache: reading them once more costs next to nothing.
constexpr Index kFewChannels = 512;
constexpr Index kMostTokensOfFewChannels = 96;
constexpr Index kMostTokens = 128;
/// Of a backward that is not folded: a head's tiles of tokens × keys are held twice and transposed.
constexpr Index kMostTokensOfTiles = 64;
constexpr Index kBlocksTogether = 4;
/// Fewer would read the weights too often.
constexpr Index kLeastTokens = 32;
/// So many keys are one tile: a prompt's context is (77 and its multiples up to three).
constexpr Index kSingleTileKeys = 256;
constexpr Index kTileKeys = 128;

/// The size of equal blocks, none above `most`, that cover `count`: rounded up to whole tiles.
Index evenBlock(Index count, Index most, Index multiple) {
  const Index blocks = std::max<Index>(1, ceilDivide(count, most));
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
bool foldsContext(const Configuration& configuration, Index tokens, Index keys) {
  // A folded context is one tile of keys.
  if (keys > kSingleTileKeys || configuration.keyBlock > 0) return false;
  const auto n = static_cast<double>(tokens);
  const auto c = static_cast<double>(configuration.queryDim);
  const auto l = static_cast<double>(roundUp(keys, kTileRows<T>));
  const double asWritten = n * c * c + n * l * c;
  const double folded = l * c * c + n * static_cast<double>(configuration.numHeads) * l * c;
  return folded < asWritten;
}

template <class T>
Plan planForward(const Configuration& configuration, const ForwardWork& work) {
  constexpr Index kColumns = kTileColumns<T>;
  const Index rows = work.folded ? configuration.queryDim + configuration.numHeads * work.keys
                                 : 2 * configuration.queryDim;
  const Index fitting = kForwardBytes / (rows * static_cast<Index>(sizeof(T)));
  const Index shared = ceilDivide(work.batch * work.tokens, std::max<Index>(1, work.leastTasks));
  const Index useful =
      configuration.queryDim < kFewChannels ? kMostTokensOfFewChannels : kMostTokens;
  const Index wanted = std::min({fitting, useful, std::max(shared, kLeastTokens)});
  Index most = std::max(wanted / kColumns, Index{2}) * kColumns;
  if (configuration.tokenBlock > 0) most = roundUp(configuration.tokenBlock, kColumns);
  return {evenBlock(work.tokens, most, kColumns), planKeyBlock<T>(configuration, work.keys)};
}

template <class T>
BackwardPlan planBackward(const Configuration& configuration, Index tokens, Index keys,
                          bool folded) {
  constexpr Index kColumns = kTileColumns<T>;
  // A small picture's tokens, too, are work for several threads.
  const Index shared = roundUp(ceilDivide(tokens, kBlocksTogether), kColumns);
  Index tokenBlock = std::max(kColumns, std::min(folded ? kMostTokens : kMostTokensOfTiles,
                                                 std::max(shared, kLeastTokens)));
  if (configuration.tokenBlock > 0) tokenBlock = roundUp(configuration.tokenBlock, kColumns);
  tokenBlock = std::min(tokenBlock, roundUp(std::max<Index>(1, tokens), kColumns));
  const Index fitting = (folded ? 2 : 1) * kChunkBytes /
                        (configuration.queryDim * static_cast<Index>(sizeof(T))) / tokenBlock;
  const Index blocks = ceilDivide(std::max<Index>(1, tokens), tokenBlock);
  // Where it takes little more memory, blocks by fours: two or four threads have as many each.
  const bool byFours = !folded && fitting >= kBlocksTogether - 1;
  const Index chunkBlocks = std::min(
      blocks, evenBlock(blocks, std::max<Index>(1, fitting), byFours ? kBlocksTogether : 1));
  return {chunkBlocks * tokenBlock, tokenBlock, planKeyBlock<T>(configuration, keys)};
}

template <class T>
Index planTaskRows(Index rows) {
  constexpr Index kMost = 8 * kTileRows<T>;
  const Index shared = ceilDivide(std::max<Index>(1, rows), kBlocksTogether);
  return std::min(kMost, roundUp(shared, kTileRows<T>));
}

template bool foldsContext<float>(const Configuration&, Index, Index);
template bool foldsContext<double>(const Configuration&, Index, Index);
template Plan planForward<float>(const Configuration&, const ForwardWork&);
template Plan planForward<double>(const Configuration&, const ForwardWork&);
template BackwardPlan planBackward<float>(const Configuration&, Index, Index, bool);
template BackwardPlan planBackward<double>(const Configuration&, Index, Index, bool);
template Index planTaskRows<float>(Index);
template Index planTaskRows<double>(Index);

}  // namespace cross_attention::layer
