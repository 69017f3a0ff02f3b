#include "layer/planner.hpp"

#include <algorithm>

#include "linalg/tile.hpp"

namespace cross_attention::layer {

namespace {

using linalg::kTileColumns;
using linalg::kTileRows;

constexpr Index kForwardBytes = Index{512} * 1024;
constexpr Index kChunkBytes = Index{1024} * 1024;
constexpr Index kMostTokens = 128;
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

template <class T>
bool foldsContext(const Configuration& configuration, Index tokens, Index keys) {
  // A folded context is one tile of keys.
  if (keys > kSingleTileKeys || configuration.keyBlock > 0) return false;
  const double n = tokens;
  const double c = configuration.queryDim;
  const double l = roundUp(keys, kTileRows<T>);
  const double asWritten = n * c * c + n * l * c;
  const double folded = l * c * c + n * configuration.numHeads * l * c;
  return folded < asWritten;
}

template <class T>
Plan planForward(const Configuration& configuration, Index tokens, Index keys, bool folded) {
  constexpr Index kColumns = kTileColumns<T>;
  const Index rows = folded ? configuration.queryDim + configuration.numHeads * keys
                            : 2 * configuration.queryDim;
  const Index bytesPerToken = rows * static_cast<Index>(sizeof(T));
  Index most = std::clamp(kForwardBytes / bytesPerToken / kColumns * kColumns, 2 * kColumns,
                          std::max(kMostTokens, 2 * kColumns));
  if (configuration.tokenBlock > 0) most = roundUp(configuration.tokenBlock, kColumns);
  return {evenBlock(tokens, most, kColumns), planKeyBlock<T>(configuration, keys)};
}

template <class T>
BackwardPlan planBackward(const Configuration& configuration, Index tokens, Index keys) {
  constexpr Index kColumns = kTileColumns<T>;
  Index tokenBlock = std::max<Index>(64, kColumns);
  if (configuration.tokenBlock > 0) tokenBlock = roundUp(configuration.tokenBlock, kColumns);
  tokenBlock = std::min(tokenBlock, roundUp(std::max<Index>(1, tokens), kColumns));
  const Index fitting =
      kChunkBytes / (configuration.queryDim * static_cast<Index>(sizeof(T))) / tokenBlock;
  const Index blocks = ceilDivide(std::max<Index>(1, tokens), tokenBlock);
  const Index chunkBlocks = evenBlock(blocks, std::max<Index>(1, fitting), 1);
  return {chunkBlocks * tokenBlock, tokenBlock, planKeyBlock<T>(configuration, keys)};
}

template bool foldsContext<float>(const Configuration&, Index, Index);
template bool foldsContext<double>(const Configuration&, Index, Index);
template Plan planForward<float>(const Configuration&, Index, Index, bool);
template Plan planForward<double>(const Configuration&, Index, Index, bool);
template BackwardPlan planBackward<float>(const Configuration&, Index, Index);
template BackwardPlan planBackward<double>(const Configuration&, Index, Index);

}  // namespace cross_attention::layer
