#pragma once

#include <memory>

#include "compiler/association.hpp"
#include "compiler/program.hpp"
#include "compiler/step.hpp"

namespace cross_attention::compiler {

/// How attentions are to be compiled.
struct AttentionOptions {
  Association association = Association::kAuto;
  bool measures =
      true;  ///< where the costs are close, both associations are run and the faster one taken
  bool dropMaskedKeys =
      true;  ///< keys that a constant mask hides from all tokens of a batch row cost nothing
};

/// A whole layer as one pass over its tokens, with the layer's parameters as they are now and a context that is given in
/// each run or made ready once. `program` stays as it is while the step lives.
std::unique_ptr<Step> makeAttentionStep(const Program& program, const Operation& operation,
                                        const AttentionOptions& options,
                                        const std::shared_ptr<Workspace>& workspace);

}  // namespace cross_attention::compiler
