#include "compiler/operator_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cross_attention::compiler {

namespace {

using graph::Operator;

using Strides = std::array<Index, Shape::kMaxRank>;

/// From one element to the next along each axis.
Strides stridesOf(const Shape& shape) {
  Strides strides{};
  Index stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<std::size_t>(axis)] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/// Strides of `shape` for the axes of `result`, 0 along those on which it is repeated. `last`: axes at the end that are
/// not the result's.
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

/// Where row `row` of a value of shape `shape` begins in an operand of these strides.
Index rowOffset(const Shape& shape, const Strides& strides, Index row) {
  Index offset = 0;
  for (int axis = shape.rank() - 2; axis >= 0; --axis) {
    offset += row % shape[axis] * strides[static_cast<std::size_t>(axis)];
    row /= shape[axis];
  }
  return offset;
}

Index columnsOf(const Shape& shape) { return shape.rank() == 0 ? 1 : shape[shape.rank() - 1]; }

template <class T>
const T* elementsOf(const Operand& operand) {
  return static_cast<const T*>(operand.elements);
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
      return std::log(left);
    default:
      return left;
  }
}

template <class T>
void elementwiseRow(const Operation& operation, const Operands& operands, T* value, Index row) {
  const Shape& shape = operation.shape;
  std::array<const T*, 2> elements{};
  std::array<Index, 2> steps{};
  const std::size_t inputs = operation.inputs.size();
  for (std::size_t number = 0; number < 2; ++number) {
    const Operand& operand = operands[number < inputs ? number : 0];
    const Strides strides = broadcastStrides(operand.shape, shape);
    elements[number] = elementsOf<T>(operand) + rowOffset(shape, strides, row);
    steps[number] = shape.rank() == 0 ? 0 : strides[static_cast<std::size_t>(shape.rank() - 1)];
  }
  for (Index column = 0; column < columnsOf(shape); ++column) {
    value[column] = combine(operation.op, elements[0][column * steps[0]], elements[1][column * steps[1]]);
  }
}

template <class T>
void productRow(const Operation& operation, const Operands& operands, T* value, Index row) {
  const Shape& shape = operation.shape;
  const Index depth = columnsOf(operands[0].shape);
  const Index columns = columnsOf(shape);
  Strides leftStrides = broadcastStrides(operands[0].shape, shape, 2);
  leftStrides[static_cast<std::size_t>(shape.rank() - 2)] = depth;
  const T* left = elementsOf<T>(operands[0]) + rowOffset(shape, leftStrides, row);
  const T* right = elementsOf<T>(operands[1]) +
                   rowOffset(shape, broadcastStrides(operands[1].shape, shape, 2), row);
  std::fill_n(value, columns, T(0));
  for (Index term = 0; term < depth; ++term) {
    for (Index column = 0; column < columns; ++column) {
      value[column] += left[term] * right[term * columns + column];
    }
  }
}

template <class T>
void softmaxRow(const T* scores, T* value, Index columns) {
  const T maximum = *std::max_element(scores, scores + columns);
  if (maximum == -std::numeric_limits<T>::infinity()) {
    std::fill_n(value, columns, T(0));
    return;
  }
  T sum = 0;
  for (Index column = 0; column < columns; ++column) {
    value[column] = std::exp(scores[column] - maximum);
    sum += value[column];
  }
  for (Index column = 0; column < columns; ++column) value[column] /= sum;
}

template <class T>
void transposedRow(const Operation& operation, const Operands& operands, T* value, Index row) {
  const Strides own = stridesOf(operands[0].shape);
  Strides strides{};
  for (std::size_t axis = 0; axis < operation.list.size(); ++axis) {
    strides[axis] = own[static_cast<std::size_t>(operation.list[axis])];
  }
  const Shape& shape = operation.shape;
  const T* elements = elementsOf<T>(operands[0]) + rowOffset(shape, strides, row);
  const Index step = strides[static_cast<std::size_t>(shape.rank() - 1)];
  for (Index column = 0; column < columnsOf(shape); ++column) value[column] = elements[column * step];
}

template <class T>
void compute(const Operation& operation, const Operands& operands, T* value, Index begin,
             Index end) {
  const Index columns = columnsOf(operation.shape);
  for (Index row = begin; row < end; ++row) {
    T* rowValue = value + row * columns;
    const T* same = elementsOf<T>(operands[0]) + row * columns;
    switch (operation.op) {
      case Operator::kMatMul:
        productRow(operation, operands, rowValue, row);
        break;
      case Operator::kSoftmax:
        softmaxRow(same, rowValue, columns);
        break;
      case Operator::kTranspose:
        transposedRow(operation, operands, rowValue, row);
        break;
      case Operator::kReshape:
        std::copy_n(same, columns, rowValue);
        break;
      default:
        elementwiseRow(operation, operands, rowValue, row);
    }
  }
}

}  // namespace

void computeRows(graph::ElementType type, const Operation& operation, const Operands& operands,
                 void* value, Index begin, Index end) {
  if (type == graph::ElementType::kFloat32) {
    compute(operation, operands, static_cast<float*>(value), begin, end);
  } else {
    compute(operation, operands, static_cast<double*>(value), begin, end);
  }
}

}  // namespace cross_attention::compiler
