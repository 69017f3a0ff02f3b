#include "layer/cost.hpp"

#include <algorithm>

#include "layer/planner.hpp"
#include "linalg/tile.hpp"

namespace cross_attention::layer {

namespace {

/// The weights are read once for so many tokens: the planner's maximum block.
constexpr double kBlockTokens = 128;
constexpr double kCloseRatio = 1.15;

}  // namespace

double tokenFlops(const Configuration& configuration, double tokens, double keys, bool folded) {
  const auto channels = static_cast<double>(configuration.queryDim);
  if (folded) return 4 * tokens * static_cast<double>(configuration.numHeads) * keys * channels;
  return 4 * tokens * channels * channels + 4 * tokens * keys * channels;
}

double contextFlops(const Configuration& configuration, double keys, bool folded) {
  const auto channels = static_cast<double>(configuration.queryDim);
  const auto contextDim = static_cast<double>(configuration.contextDim);
  return 4 * keys * contextDim * channels + (folded ? 4 * keys * channels * channels : 0);
}

double backwardTokenFlops(const Configuration& configuration, double tokens, double keys, bool folded,
                          bool oneTile) {
  const auto channels = static_cast<double>(configuration.queryDim);
  // Per token, key and head: scores, dP, dx, dM, dG.
  if (folded) return 10 * tokens * static_cast<double>(configuration.numHeads) * keys * channels;
  // Per token: q, dO, dx, dWq, dWo. Per token and key: scores, output, dP, dq, dk, dv, and the scores again
  // if the keys do not fit into one tile.
  return 10 * tokens * channels * channels + (oneTile ? 12 : 14) * tokens * keys * channels;
}

double backwardContextFlops(const Configuration& configuration, double keys, bool folded) {
  // Per key: dWk, dWv, and dc by two products. Folded: also dWq, dk, dWo, dv. Twice the products of the
  // forward pass.
  return 2 * contextFlops(configuration, keys, folded);
}

template <class T>
bool foldsContext(const Configuration& configuration, Index tokens, Index keys) {
  // A folded context is one tile of keys.
  if (keys > kSingleTileKeys || configuration.keyBlock > 0) return false;
  const auto paddedKeys = static_cast<double>(roundUp(keys, linalg::kTileRows<T>));
  const auto flops = [&](bool folded) {
    return tokenFlops(configuration, static_cast<double>(tokens), paddedKeys, folded) +
           contextFlops(configuration, paddedKeys, folded);
  };
  return flops(true) < flops(false);
}

bool foldsConstantContext(const Configuration& configuration, double keys) {
  return tokenFlops(configuration, 1, keys, true) < tokenFlops(configuration, 1, keys, false);
}

Cost costOf(const Configuration& configuration, const AttentionSizes& sizes, Association association) {
  const auto channels = static_cast<double>(configuration.queryDim);
  const auto contextDim = static_cast<double>(configuration.contextDim);
  const auto heads = static_cast<double>(configuration.numHeads);
  const auto keys = static_cast<double>(sizes.keys);
  const auto kvBatches = sizes.contextIsConstant ? 0.0 : static_cast<double>(sizes.kvBatches);
  const double tokens = static_cast<double>(sizes.batch) * static_cast<double>(sizes.tokens);
  const double blocks = std::max(tokens / kBlockTokens, static_cast<double>(sizes.batch));
  const bool folded = association == Association::kFolded;

  // Each block of tokens reads matrices of `rows` × channels twice, and the keys and values if they are not
  // folded.
  const double rows = folded ? heads * keys : channels;
  double elements = 2 * tokens * channels + blocks * 2 * (rows + (folded ? 0 : keys)) * channels;
  elements += kvBatches * (2 * contextDim * channels + 2 * keys * channels);
  if (folded) elements += kvBatches * (2 * channels * channels + 2 * heads * keys * channels);
  return {
      tokenFlops(configuration, tokens, keys, folded) + kvBatches * contextFlops(configuration, keys, folded),
      elements * static_cast<double>(sizes.elementBytes)};
}

Choice chooseAssociation(const Configuration& configuration, const AttentionSizes& sizes) {
  const double plain = costOf(configuration, sizes, Association::kPlain).total();
  const double folded = costOf(configuration, sizes, Association::kFolded).total();
  return {folded < plain ? Association::kFolded : Association::kPlain,
          std::max(plain, folded) < kCloseRatio * std::min(plain, folded)};
}

template bool foldsContext<float>(const Configuration&, Index, Index);
template bool foldsContext<double>(const Configuration&, Index, Index);

}  // namespace cross_attention::layer
