#include "graph/shape_inference.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::graph {

namespace {

/// The node whose shape is inferred.
struct InferenceRequest {
  Operator op;
  std::string_view node;
  std::span<const Dimensions> inputs;

  [[noreturn]] void fail(const char* expected) const {
    const bool isOne = inputs.size() == 1;
    failShape({"node '", node, "' (", nameOf(op), ") has inputs of shape ", toString(inputs.front()),
               isOne ? "" : " and ", isOne ? "" : toString(inputs.back()), "; expected ", expected});
  }
  void require(bool condition, const char* expected) const {
    if (!condition) fail(expected);
  }
  void requireRank(std::size_t minimum) const {
    const char* expected = minimum == 1 ? "at least 1 dimension" : "at least 2 dimensions";
    for (const Dimensions& input : inputs) require(input.size() >= minimum, expected);
  }
};

/// Returns a dimension counted from the back, beginning with 1. Missing leading dimensions are 1.
Dimension fromBack(const Dimensions& dimensions, std::size_t back) {
  return back <= dimensions.size() ? dimensions[dimensions.size() - back] : Dimension(1);
}

/// Broadcasts the dimensions of both inputs except the last `rest` ones: aligns them at the back, and a
/// dimension of 1 adopts the other's.
Dimensions broadcast(const InferenceRequest& request, std::size_t rest) {
  const Dimensions& left = request.inputs[0];
  const Dimensions& right = request.inputs[1];
  Dimensions result;
  for (std::size_t back = std::max(left.size(), right.size()); back > rest; --back) {
    const Dimension a = fromBack(left, back);
    const Dimension b = fromBack(right, back);
    request.require(a == b || a.isOne() || b.isOne(), "equal dimensions, or a dimension of 1");
    result.push_back(a.isOne() ? b : a);
  }
  return result;
}

Dimensions product(const InferenceRequest& request) {
  request.requireRank(2);
  const Dimensions& left = request.inputs[0];
  const Dimensions& right = request.inputs[1];
  request.require(left.back() == fromBack(right, 2), "equal inner dimensions");
  Dimensions result = broadcast(request, 2);
  result.push_back(fromBack(left, 2));
  result.push_back(right.back());
  return result;
}

Dimensions transposed(const InferenceRequest& request, const Attributes& axes) {
  const Dimensions& input = request.inputs[0];
  Dimensions result;
  unsigned seen = 0;
  for (const Index axis : axes) {
    const bool exists = axis >= 0 && static_cast<std::size_t>(axis) < input.size();
    request.require(exists && (seen >> axis & 1U) == 0, "a perm that contains each axis once");
    seen |= 1U << axis;
    result.push_back(input[static_cast<std::size_t>(axis)]);
  }
  request.require(result.size() == input.size(), "a perm that contains each axis once");
  return result;
}

/// Returns the product of the dimensions that are numbers.
std::int64_t productOf(const Dimensions& dimensions) {
  std::int64_t product = 1;
  for (const Dimension dimension : dimensions) {
    if (dimension.isNumber()) product *= dimension.number();
  }
  return product;
}

/// Returns the shape of the attribute, with 0 replaced by the input's dimension and -1 by 1.
Dimensions resolveZeros(const InferenceRequest& request, const Attributes& shape) {
  const Dimensions& input = request.inputs[0];
  Dimensions result;
  bool hasUnknown = false;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const Index dimension = shape[axis];
    request.require(
        dimension > 0 || (dimension == 0 && axis < input.size()) || (dimension == -1 && !hasUnknown),
        "a shape of positive numbers, 0 for a dimension of the input, and at most one -1");
    hasUnknown = hasUnknown || dimension == -1;
    result.push_back(dimension == 0 ? input[axis] : Dimension(std::max(dimension, Index{1})));
  }
  return result;
}

Dimensions reshaped(const InferenceRequest& request, const Attributes& shape) {
  Dimensions result = resolveZeros(request, shape);
  const auto unknown = static_cast<std::size_t>(std::find(shape.begin(), shape.end(), -1) - shape.begin());
  const bool hasUnknown = unknown < shape.size();
  // The input's dimensions without the named ones that the new shape contains.
  Dimensions left = request.inputs[0];
  bool fits = true;
  for (const Dimension dimension : result) {
    if (dimension.isNumber()) continue;
    Dimension* const same = std::find(left.begin(), left.end(), dimension);
    fits = fits && same != left.end();
    if (same != left.end()) *same = 1;
  }
  const std::int64_t written = productOf(result);
  const std::int64_t number = productOf(left);
  const auto isName = [](const Dimension dimension) { return !dimension.isNumber(); };
  const auto names = std::count_if(left.begin(), left.end(), isName);
  if (!hasUnknown) {
    request.require(fits && names == 0 && number == written, "a shape with the same number of elements");
    return result;
  }
  fits = fits && written > 0 && number % written == 0 && (names == 0 || (names == 1 && number == written));
  request.require(
      fits, "a shape with the same number of elements, in which -1 stands for a number or one named size");
  result[unknown] = names == 0 ? Dimension(static_cast<Index>(number / written))
                               : *std::find_if(left.begin(), left.end(), isName);
  return result;
}

}  // namespace

Dimensions inferShape(Operator op, std::string_view node, std::span<const Dimensions> inputs,
                      const Attributes& attributes) {
  const InferenceRequest request{op, node, inputs};
  switch (op) {
    case Operator::kMatMul:
      return product(request);
    case Operator::kTranspose:
      return transposed(request, attributes);
    case Operator::kReshape:
      return reshaped(request, attributes);
    case Operator::kReduceMean:
    case Operator::kSoftmax: {
      request.requireRank(1);
      const auto last = static_cast<Index>(inputs[0].size()) - 1;
      request.require(attributes.size() == 1 && (attributes[0] == -1 || attributes[0] == last),
                      "the last axis as attribute");
      Dimensions result = inputs[0];
      if (op == Operator::kReduceMean) *(result.end() - 1) = 1;
      return result;
    }
    default:
      return inputs.size() == 1 ? inputs[0] : broadcast(request, 0);
  }
}

}  // namespace cross_attention::graph
