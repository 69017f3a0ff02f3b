#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/dimension.hpp"
#include "graph/operator.hpp"

namespace cross_attention::graph {

/// The shape of what an operator makes of inputs of these shapes, by ONNX's rules: numbers and names alike, for a name
/// equals itself. `list`: see Operator. Throws kShape or kArgument, naming `node`, where they do not fit.
Dimensions inferShape(Operator op, const std::string& node, const std::vector<Dimensions>& inputs,
                      const std::vector<std::int64_t>& list);

}  // namespace cross_attention::graph
