#pragma once

#include <memory>

#include "compiler/step.hpp"

namespace cross_attention::compiler {

/// One operator by itself. `program` stays as it is while the step lives, but for its tensors.
std::unique_ptr<Step> makeOperatorStep(const Program& program, const Operation& operation,
                                       const std::shared_ptr<Workspace>& workspace);

}  // namespace cross_attention::compiler
