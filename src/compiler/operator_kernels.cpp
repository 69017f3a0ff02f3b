#include "compiler/operator_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attention/scores.hpp"
#include "simd/exponential.hpp"

namespace cross_attention::compiler {

namespace {

using graph::Operator;

using Strides = std::array<Index, Shape::kMaxRank>;

/// Returns row-major strides: elements from one index to the next along each axis.
Strides stridesOf(const Shape& shape) {
  Strides strides{};
  Index stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<std::size_t>(axis)] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/// Returns strides of `shape` for the axes of `result`, with 0 along broadcast axes. `last`: number of
/// trailing axes to leave out.
Strides broadcastStrides(const Shape& shape, const Shape& result, int last = 0) {
  const Strides own = stridesOf(shape);
  Strides strides{};
  for (int axis = 0; axis < result.rank() - last; ++axis) {
    const int ownAxis = axis + shape.rank() - result.rank();
    if (ownAxis < 0 || shape[ownAxis] == 1) continue;
    strides[static_cast<std::size_t>(axis)] = own[static_cast<std::size_t>(ownAxis)];
  }
  return strides;
}

/// Returns the offset of row `row` of a value of shape `shape` in an operand with these strides.
Index rowOffset(const Shape& shape, const Strides& strides, Index row) {
  Index offset = 0;
  for (int axis = shape.rank() - 2; axis >= 0; --axis) {
    offset += row % shape[axis] * strides[static_cast<std::size_t>(axis)];
    row /= shape[axis];
  }
  return offset;
}

Index columnsOf(const Shape& shape) { return shape.rank() == 0 ? 1 : shape[shape.rank() - 1]; }

/// One row of a value, with the first element and the step of each operand.
struct Row {
  void* value;
  Index columns;
  std::array<const void*, 2> elements;
  std::array<Index, 2> steps;
  /// Number of terms of a product or a mean.
  Index depth;
};

/// Returns strides of an operand along the axes of the value; 0 along the last axis if the operand does not
/// share it.
Strides stridesOf(const Operation& operation, const Shape& operand) {
  const Shape& shape = operation.shape;
  switch (operation.op) {
    case Operator::kMatMul:
      return broadcastStrides(operand, shape, 2);
    case Operator::kTranspose: {
      const Strides own = stridesOf(operand);
      Strides strides{};
      for (std::size_t axis = 0; axis < operation.attributes.size(); ++axis) {
        strides[axis] = own[static_cast<std::size_t>(operation.attributes[axis])];
      }
      return strides;
    }
    case Operator::kReshape:
      return stridesOf(shape);
    default:
      return broadcastStrides(operand, shape);
  }
}

/// Returns stridesOf for each operand.
std::array<Strides, 2> operandStrides(const Operation& operation, const Operands& operands) {
  std::array<Strides, 2> strides{};
  for (std::size_t input = 0; input < operation.inputs.size(); ++input) {
    strides[input] = stridesOf(operation, operands[input].shape);
  }
  // The value and a product's left operand have the same rows.
  if (operation.op == Operator::kMatMul) {
    strides[0][static_cast<std::size_t>(operation.shape.rank() - 2)] = columnsOf(operands[0].shape);
  }
  return strides;
}

Row rowOf(const Operation& operation, const Operands& operands, const std::array<Strides, 2>& strides,
          void* value, Index number, std::size_t elementBytes) {
  const Shape& shape = operation.shape;
  const auto at = [elementBytes](const void* elements, Index index) {
    return static_cast<const std::byte*>(elements) + index * static_cast<Index>(elementBytes);
  };
  Row row{};
  row.columns = columnsOf(shape);
  row.value = static_cast<std::byte*>(value) + number * row.columns * static_cast<Index>(elementBytes);
  row.depth = columnsOf(operands[0].shape);
  for (std::size_t input = 0; input < operation.inputs.size(); ++input) {
    row.elements[input] = at(operands[input].elements, rowOffset(shape, strides[input], number));
    if (shape.rank() > 0) {
      row.steps[input] = strides[input][static_cast<std::size_t>(shape.rank() - 1)];
    }
  }
  return row;
}

template <class T>
T combine(Operator op, T left, T right) {
  switch (op) {
    case Operator::kAdd:
      return left + right;
    case Operator::kSub:
      return left - right;
    case Operator::kMul:
      return left * right;
    case Operator::kDiv:
      return left / right;
    case Operator::kLog:
      return static_cast<T>(std::log(static_cast<double>(left)));
    case Operator::kSqrt:
      return std::sqrt(left);
    default:
      return left;
  }
}

template <class T>
void multiplyRow(const Row& row) {
  T* value = static_cast<T*>(row.value);
  const T* left = static_cast<const T*>(row.elements[0]);
  const T* right = static_cast<const T*>(row.elements[1]);
  std::fill_n(value, row.columns, T(0));
  for (Index term = 0; term < row.depth; ++term) {
    for (Index column = 0; column < row.columns; ++column) {
      value[column] += left[term] * right[term * row.columns + column];
    }
  }
}

/// Computes e^(score - maximum) through the layer's 2^x: std::exp and its table would add 3 KB of
/// WebAssembly.
template <class T>
void exponentials(const T* scores, T maximum, Index count, T* value) {
  constexpr Index kLanes = simd::kLanes<T>;
  const simd::PowerOfTwo<T> powerOfTwo;
  const auto ofLanes = [&](const T* from, T* to) {
    const simd::Vector<T> difference = simd::load(from) - simd::splat(maximum);
    simd::store(to, powerOfTwo(difference * simd::splat(static_cast<T>(attention::kLog2E))));
  };
  Index column = 0;
  for (; column + kLanes <= count; column += kLanes) ofLanes(scores + column, value + column);
  std::array<T, kLanes> rest{};
  std::copy_n(scores + column, count - column, rest.data());
  ofLanes(rest.data(), rest.data());
  std::copy_n(rest.data(), count - column, value + column);
}

template <class T>
void softmaxRow(const Row& row) {
  T* value = static_cast<T*>(row.value);
  const T* scores = static_cast<const T*>(row.elements[0]);
  const T maximum = *std::max_element(scores, scores + row.columns);
  if (maximum == -std::numeric_limits<T>::infinity()) {
    std::fill_n(value, row.columns, T(0));
    return;
  }
  exponentials(scores, maximum, row.columns, value);
  T sum = 0;
  for (Index column = 0; column < row.columns; ++column) sum += value[column];
  for (Index column = 0; column < row.columns; ++column) value[column] /= sum;
}

template <class T>
void meanRow(const Row& row) {
  const T* elements = static_cast<const T*>(row.elements[0]);
  T sum = 0;
  for (Index term = 0; term < row.depth; ++term) sum += elements[term];
  *static_cast<T*>(row.value) = sum / static_cast<T>(row.depth);
}

template <class T>
void elementwiseRow(Operator op, const Row& row) {
  T* value = static_cast<T*>(row.value);
  const T* left = static_cast<const T*>(row.elements[0]);
  // A unary operator reads its only input for both operands.
  const bool hasRight = row.elements[1] != nullptr;
  const T* right = static_cast<const T*>(row.elements[hasRight ? 1 : 0]);
  const Index rightStep = row.steps[hasRight ? 1 : 0];
  for (Index column = 0; column < row.columns; ++column) {
    value[column] = combine(op, left[column * row.steps[0]], right[column * rightStep]);
  }
}

template <class T>
void compute(Operator op, const Row& row) {
  switch (op) {
    case Operator::kMatMul:
      return multiplyRow<T>(row);
    case Operator::kSoftmax:
      return softmaxRow<T>(row);
    case Operator::kReduceMean:
      return meanRow<T>(row);
    default:
      return elementwiseRow<T>(op, row);
  }
}

}  // namespace

void computeRows(graph::ElementType type, const Operation& operation, const Operands& operands, void* value,
                 Index begin, Index end) {
  const std::array<Strides, 2> strides = operandStrides(operation, operands);
  for (Index number = begin; number < end; ++number) {
    const Row row = rowOf(operation, operands, strides, value, number, bytesOf(type));
    if (type == graph::ElementType::kFloat32) {
      compute<float>(operation.op, row);
    } else {
      compute<double>(operation.op, row);
    }
  }
}

}  // namespace cross_attention::compiler
