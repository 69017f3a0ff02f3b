#pragma once

#include "layer/configuration.hpp"

namespace cross_attention::compiler {

/// In which order the products of an attention are taken: as written, or with keys and values folded with the weights on
/// the image's side (see layer::FoldedContext).
enum class Association { kAuto, kPlain, kFolded };

/// What decides between them.
struct AttentionSizes {
  Index batch;
  Index tokens;            ///< of a batch row
  Index sets;              ///< of keys: one a batch row, or one for all
  Index keys;              ///< of a set, that are attended to
  bool contextIsConstant;  ///< keys and values are made once, not in every run
  Index elementBytes;
};

/// What a run costs.
struct Cost {
  double flops;
  double bytes;  ///< read and written

  /// In operations: a byte that comes from a second-level cache or beyond takes as long as so many.
  double total() const { return flops + kFlopsPerByte * bytes; }

 private:
  static constexpr double kFlopsPerByte = 3;
};

Cost costOf(const layer::Configuration& configuration, const AttentionSizes& sizes,
            Association association);

/// The cheaper one, and whether the costs are so close (within 15 %) that only a measurement can tell.
struct Choice {
  Association association;
  bool isClose;
};
Choice chooseAssociation(const layer::Configuration& configuration, const AttentionSizes& sizes);

}  // namespace cross_attention::compiler
