#pragma once

#include <cstdint>

#include "core/shape.hpp"
#include "graph/inline_vector.hpp"

namespace cross_attention::graph {

/// The operation of a node. Names and semantics are those of ONNX (opset 17); only operators that the layer's
/// graph and the compilers need are included. kAttention does not exist in ONNX: compilers use it to replace
/// a whole layer.
enum class Operator : std::uint8_t {
  kInput,
  kConstant,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kLog,
  kIdentity,
  kSqrt,
  kMatMul,
  /// Attribute: the axis, which must be the last one. A row of only -infinity becomes zeros, not NaN.
  kSoftmax,
  /// The mean over the last axis, which becomes 1. Attribute: the axis.
  kReduceMean,
  /// Attribute: perm.
  kTranspose,
  /// Attribute: the shape. 0 copies the input's dimension, -1 is inferred.
  kReshape,
  kAttention,
};

/// The attributes of an operator, as numbers.
using Attributes = InlineVector<Index, Shape::kMaxRank>;

const char* nameOf(Operator op);
/// Returns the number of inputs of an operator; 0 for Input, Constant and operators that only compilers
/// create.
int inputsOf(Operator op);

}  // namespace cross_attention::graph
