#pragma once

#include <span>
#include <string_view>

#include "graph/dimension.hpp"
#include "graph/operator.hpp"

namespace cross_attention::graph {

/// The shape of what an operator makes of inputs of these shapes, by ONNX's rules: numbers and names alike, for a name
/// equals itself. `list`: see Operator. Throws kShape, naming `node`, where they do not fit.
/// There are as many inputs as inputsOf says, 1 or 2.
Dimensions inferShape(Operator op, std::string_view node, std::span<const Dimensions> inputs,
                      const List& list);

}  // namespace cross_attention::graph
