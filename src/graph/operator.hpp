#pragma once

#include <cstdint>

#include "core/shape.hpp"
#include "graph/short_list.hpp"

namespace cross_attention::graph {

/// What a node computes: the operators of ONNX that bear these names (opset 17), as far as the layer's graph and those
/// that compilers make of it need them. kAttention is none of ONNX: a compiler puts it in the place of a whole layer.
enum class Operator : std::uint8_t {
  kInput,
  kConstant,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kLog,
  kIdentity,
  kMatMul,
  kSoftmax,  ///< list: the axis, which is the last one. A row of nothing but -infinity becomes zeros, not NaN.
  kTranspose,  ///< list: perm
  kReshape,  ///< list: the shape, in which 0 stands for the input's dimension and -1 for what is left
  kAttention,
};

/// The numbers that an operator takes beside its inputs.
using List = ShortList<Index, Shape::kMaxRank>;

const char* nameOf(Operator op);
/// How many inputs a node takes that is made by it; 0 where none is: Input, Constant, and what only compilers put in.
int inputsOf(Operator op);

}  // namespace cross_attention::graph
