#pragma once

#include "layer/configuration.hpp"

namespace cross_attention::layer {

// What a call costs, and whether it folds the context into the weights (see FoldedContext). Passes and the
// compiler use these formulas, and so does TypeScript through bindings/embind/cost.cpp, which exports
//   forwardFlops(dimensions, tokens, keys, projectedKeys, folded): number
//   foldsConstantContext(dimensions, keys): boolean
//
// N: tokens, L: keys, C: queryDim, O: outputDim, I: innerDim, D: contextDim. In FLOPs, where a multiplication
// and an addition are two; biases and norms do not count:
//                            plain                         folded
//   tokens                   2·N·I·(C + O) + 4·N·L·I       2·N·heads·L·(C + O)
//   projecting the context   4·L·D·I                       4·L·D·I + 2·L·I·(C + O)

/// True if keys and values can be folded into the weights. A norm between the query's projection and the
/// scores makes that impossible.
inline bool canFold(const Configuration& configuration) { return !configuration.hasNorm(); }

/// Returns the FLOPs of a forward pass over `tokens` tokens that attend to `keys` keys each, without those of
/// the context.
double tokenFlops(const Configuration& configuration, double tokens, double keys, bool folded);

/// Returns the FLOPs of projecting, and folding if `folded`, a context of `keys` keys.
double contextFlops(const Configuration& configuration, double keys, bool folded);

/// Returns the FLOPs of a backward pass over `tokens` tokens that attend to `keys` keys each, without those
/// of the context's gradients. `oneTile`: all keys fit into one attention tile; otherwise the scores are
/// computed twice.
double backwardTokenFlops(const Configuration& configuration, double tokens, double keys, bool folded,
                          bool oneTile);

/// Returns the FLOPs of the gradients of a context of `keys` keys and of the weights that project it.
double backwardContextFlops(const Configuration& configuration, double keys, bool folded);

/// True if a forward or backward pass folds the context into the weights, because that is less work for
/// `tokens` tokens of the image that share a context of `keys` keys. Depends on the shapes and the number of
/// attended keys alone, not on what is cached, so that the same call gives the same bits.
template <class T>
bool foldsContext(const Configuration& configuration, Index tokens, Index keys);

/// True if a pass over a context that was prepared once is less work folded. Unlike chooseAssociation it
/// counts FLOPs only: for devices whose memory traffic is not modelled.
bool foldsConstantContext(const Configuration& configuration, double keys);

/// The order in which the products of an attention are computed: as written, or with keys and values folded
/// into the weights.
enum class Association { kAuto, kPlain, kFolded };

/// The sizes of a compiled attention.
struct AttentionSizes {
  Index batch;
  /// Tokens of one batch row.
  Index tokens;
  /// Key/value batches: one for each batch row, or one for all.
  Index kvBatches;
  /// Attended keys of each key/value batch.
  Index keys;
  /// True if keys and values are computed once, when the graph is compiled, and not in every run.
  bool contextIsConstant;
  Index elementBytes;
};

/// The cost of one run.
struct Cost {
  double flops;
  /// Bytes read and written.
  double bytes;

  /// Returns the cost in FLOPs. A byte from the second-level cache or beyond takes as long as kFlopsPerByte
  /// of them.
  double total() const { return flops + kFlopsPerByte * bytes; }

 private:
  static constexpr double kFlopsPerByte = 3;
};

/// `association`: not kAuto.
Cost costOf(const Configuration& configuration, const AttentionSizes& sizes, Association association);

struct Choice {
  Association association;
  /// True if the costs differ by less than 15 %, so that only a measurement can decide.
  bool isClose;
};

/// Returns the cheaper association of a compiled attention.
Choice chooseAssociation(const Configuration& configuration, const AttentionSizes& sizes);

}  // namespace cross_attention::layer
