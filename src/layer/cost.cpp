#include "layer/cost.hpp"

#include <algorithm>

#include "layer/planner.hpp"
#include "linalg/tile.hpp"

namespace cross_attention::layer {

namespace {

/// The weights are read once for so many tokens: the planner's maximum block.
constexpr double kBlockTokens = 128;
constexpr double kCloseRatio = 1.15;

/// The channels of a layer.
struct Sizes {
  explicit Sizes(const Configuration& configuration)
      : query(static_cast<double>(configuration.queryDim)),
        context(static_cast<double>(configuration.contextDim)),
        inner(static_cast<double>(configuration.innerDim())),
        outer(query + static_cast<double>(configuration.outputDim())),
        heads(static_cast<double>(configuration.numHeads)) {}

  double query, context, inner;
  /// Of input and output together: the products with Wq and with Wo cost the same per channel.
  double outer;
  double heads;
};

}  // namespace

double tokenFlops(const Configuration& configuration, double tokens, double keys, bool folded) {
  const Sizes sizes(configuration);
  if (folded) return 2 * tokens * sizes.heads * keys * sizes.outer;
  return 2 * tokens * sizes.inner * sizes.outer + 4 * tokens * keys * sizes.inner;
}

double contextFlops(const Configuration& configuration, double keys, bool folded) {
  const Sizes sizes(configuration);
  return 4 * keys * sizes.context * sizes.inner + (folded ? 2 * keys * sizes.inner * sizes.outer : 0);
}

double backwardTokenFlops(const Configuration& configuration, double tokens, double keys, bool folded,
                          bool oneTile) {
  const Sizes sizes(configuration);
  // Per token, key and head: scores, dx, dM of the input's channels; dP, dG of the output's.
  if (folded) return 2 * tokens * sizes.heads * keys * (2 * sizes.outer + sizes.query);
  // Per token: q, dO, dx, dWq, dWo. Per token and key: scores, output, dP, dq, dk, dv, and the scores again
  // if the keys do not fit into one tile.
  return 2 * tokens * sizes.inner * (2 * sizes.outer + sizes.query) +
         (oneTile ? 12 : 14) * tokens * keys * sizes.inner;
}

double backwardContextFlops(const Configuration& configuration, double keys, bool folded) {
  // Per key: dWk, dWv, and dc by two products. Folded: also dWq, dk, dWo, dv. Twice the products of the
  // forward pass.
  return 2 * contextFlops(configuration, keys, folded);
}

template <class T>
bool foldsContext(const Configuration& configuration, Index tokens, Index keys) {
  // A folded context is one tile of keys.
  if (!canFold(configuration) || keys > kSingleTileKeys || configuration.keyBlock > 0) return false;
  const auto paddedKeys = static_cast<double>(roundUp(keys, linalg::kTileRows<T>));
  const auto flops = [&](bool folded) {
    return tokenFlops(configuration, static_cast<double>(tokens), paddedKeys, folded) +
           contextFlops(configuration, paddedKeys, folded);
  };
  return flops(true) < flops(false);
}

bool foldsConstantContext(const Configuration& configuration, double keys) {
  return canFold(configuration) &&
         tokenFlops(configuration, 1, keys, true) < tokenFlops(configuration, 1, keys, false);
}

Cost costOf(const Configuration& configuration, const AttentionSizes& sizes, Association association) {
  const Sizes channels(configuration);
  const auto keys = static_cast<double>(sizes.keys);
  const auto kvBatches = sizes.contextIsConstant ? 0.0 : static_cast<double>(sizes.kvBatches);
  const double tokens = static_cast<double>(sizes.batch) * static_cast<double>(sizes.tokens);
  const double blocks = std::max(tokens / kBlockTokens, static_cast<double>(sizes.batch));
  const bool folded = association == Association::kFolded;

  // Each block of tokens reads matrices of `rows` × channels of the input and of the output, and the keys and
  // values if they are not folded.
  const double rows = folded ? channels.heads * keys : channels.inner;
  double elements = tokens * channels.outer + blocks * rows * channels.outer;
  if (!folded) elements += blocks * 2 * keys * channels.inner;
  elements += kvBatches * 2 * (channels.context + keys) * channels.inner;
  if (folded) elements += kvBatches * (channels.inner + channels.heads * keys) * channels.outer;
  return {
      tokenFlops(configuration, tokens, keys, folded) + kvBatches * contextFlops(configuration, keys, folded),
      elements * static_cast<double>(sizes.elementBytes)};
}

Choice chooseAssociation(const Configuration& configuration, const AttentionSizes& sizes) {
  if (!canFold(configuration)) return {Association::kPlain, false};
  const double plain = costOf(configuration, sizes, Association::kPlain).total();
  const double folded = costOf(configuration, sizes, Association::kFolded).total();
  return {folded < plain ? Association::kFolded : Association::kPlain,
          std::max(plain, folded) < kCloseRatio * std::min(plain, folded)};
}

template bool foldsContext<float>(const Configuration&, Index, Index);
template bool foldsContext<double>(const Configuration&, Index, Index);

}  // namespace cross_attention::layer
