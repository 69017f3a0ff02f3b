#pragma once

#include <span>
#include <string_view>

#include "graph/dimension.hpp"
#include "graph/operator.hpp"

namespace cross_attention::graph {

/// Infers the shape of an operator's output by ONNX's rules. Named dimensions are equal only to themselves.
/// Requires one or two inputs, as inputsOf(op) returns. `attributes`: see Operator. Throws kShape, naming
/// `node`, if the inputs are invalid.
Dimensions inferShape(Operator op, std::string_view node, std::span<const Dimensions> inputs,
                      const Attributes& attributes);

}  // namespace cross_attention::graph
