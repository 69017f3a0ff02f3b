#pragma once

#include <memory>

#include "compiler/step.hpp"

namespace cross_attention::compiler {

/// Creates a step for a single operator. `program` must not change while the step exists, except for its
/// tensors.
std::unique_ptr<Step> makeOperatorStep(const Program& program, const Operation& operation,
                                       const std::shared_ptr<Workspace>& workspace);

}  // namespace cross_attention::compiler
