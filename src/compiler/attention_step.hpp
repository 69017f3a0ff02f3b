#pragma once

#include <memory>

#include "compiler/program.hpp"
#include "compiler/step.hpp"
#include "layer/cost.hpp"

namespace cross_attention::compiler {

using layer::Association;

/// Options for compiling attentions.
struct AttentionOptions {
  Association association = Association::kAuto;
  /// If the costs are close, runs both associations and selects the faster one.
  bool measure = true;
  /// Removes keys that a constant mask hides from all tokens of a batch row.
  bool dropMaskedKeys = true;
};

/// Creates a step that computes a whole layer in one pass over its tokens, with the layer's current
/// parameters. The context either changes in every run or is prepared once. `program` must not change while
/// the step exists.
std::unique_ptr<Step> makeAttentionStep(const Program& program, const Operation& operation,
                                        const AttentionOptions& options,
                                        const std::shared_ptr<Workspace>& workspace);

}  // namespace cross_attention::compiler
