#pragma once

#include "layer/configuration.hpp"

namespace cross_attention::compiler {

/// The association (bracketing) of an attention's products: as written, or with keys and values folded with
/// the weights on the image's side (see layer::FoldedContext).
enum class Association { kAuto, kPlain, kFolded };

/// The sizes that determine the association.
struct AttentionSizes {
  Index batch;
  /// Per batch row.
  Index tokens;
  /// One per batch row, or one for all.
  Index keyValueBatches;
  /// Keys that are attended to, per key/value batch.
  Index keys;
  /// Keys and values are computed once, not in every run.
  bool contextIsConstant;
  Index elementBytes;
};

/// The cost of a run.
struct Cost {
  double flops;
  double bytes;  ///< bytes read and written

  /// The total in FLOPs. A byte from the second-level cache or beyond takes as long as kFlopsPerByte of them.
  double total() const { return flops + kFlopsPerByte * bytes; }

 private:
  static constexpr double kFlopsPerByte = 3;
};

Cost costOf(const layer::Configuration& configuration, const AttentionSizes& sizes,
            Association association);

/// The cheaper association. `isClose`: the costs differ by less than 15 %, so that only a measurement can
/// decide.
struct Choice {
  Association association;
  bool isClose;
};
Choice chooseAssociation(const layer::Configuration& configuration, const AttentionSizes& sizes);

}  // namespace cross_attention::compiler
