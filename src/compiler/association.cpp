#include "compiler/association.hpp"

#include <algorithm>

namespace cross_attention::compiler {

namespace {

/// Tokens per reading of the weights: the maximum block of layer/planner.
constexpr double kBlockTokens = 128;
constexpr double kClose = 1.15;

}  // namespace

Cost costOf(const layer::Configuration& configuration, const AttentionSizes& sizes,
            Association association) {
  const auto channels = static_cast<double>(configuration.queryDim);
  const auto contextDim = static_cast<double>(configuration.contextDim);
  const auto heads = static_cast<double>(configuration.numHeads);
  const auto keys = static_cast<double>(sizes.keys);
  const auto keyValueBatches = sizes.contextIsConstant ? 0.0 : static_cast<double>(sizes.keyValueBatches);
  const double tokens = static_cast<double>(sizes.batch) * static_cast<double>(sizes.tokens);
  const double blocks = std::max(tokens / kBlockTokens, static_cast<double>(sizes.batch));
  const bool folds = association == Association::kFolded;

  // Per token: products with operands of `rows` × channels, which are read once per block.
  const double rows = folds ? heads * keys : channels;
  double flops = tokens * 4 * rows * channels + (folds ? 0 : tokens * 4 * keys * channels);
  double elements = 2 * tokens * channels + blocks * 2 * (rows + (folds ? 0 : keys)) * channels;
  // Per key/value batch: the projections and, if folded, the folding.
  flops += keyValueBatches * 4 * keys * contextDim * channels;
  elements += keyValueBatches * (2 * contextDim * channels + 2 * keys * channels);
  if (folds) {
    flops += keyValueBatches * 4 * keys * channels * channels;
    elements += keyValueBatches * (2 * channels * channels + 2 * heads * keys * channels);
  }
  return {flops, elements * static_cast<double>(sizes.elementBytes)};
}

Choice chooseAssociation(const layer::Configuration& configuration, const AttentionSizes& sizes) {
  const double plain = costOf(configuration, sizes, Association::kPlain).total();
  const double folded = costOf(configuration, sizes, Association::kFolded).total();
  return {folded < plain ? Association::kFolded : Association::kPlain,
          std::max(plain, folded) < kClose * std::min(plain, folded)};
}

}  // namespace cross_attention::compiler
