#include "graph/shape_inference.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::graph {

namespace {

/// The node at work.
struct Place {
  Operator op;
  std::string_view node;
  std::span<const Dimensions> inputs;

  [[noreturn]] void fail(const char* takes) const {
    const bool isOne = inputs.size() == 1;
    failShape({"node '", node, "' has inputs of shape ", toString(inputs.front()),
               isOne ? "" : " and ", isOne ? "" : toString(inputs.back()), "; ", nameOf(op),
               " takes ", takes});
  }
  void require(bool condition, const char* takes) const {
    if (!condition) fail(takes);
  }
  void requireRank(std::size_t least) const {
    for (const Dimensions& input : inputs) require(input.size() >= least, "more dimensions");
  }
};

/// Counted from the back, from 1 on; in front of the first one, 1.
Dimension fromBack(const Dimensions& dimensions, std::size_t back) {
  return back <= dimensions.size() ? dimensions[dimensions.size() - back] : Dimension(1);
}

/// The dimensions of both inputs but for the `rest` last ones, the last ones facing each other; where one is 1, the other.
Dimensions broadcast(const Place& place, std::size_t rest) {
  const Dimensions& left = place.inputs[0];
  const Dimensions& right = place.inputs[1];
  Dimensions result;
  for (std::size_t back = std::max(left.size(), right.size()); back > rest; --back) {
    const Dimension a = fromBack(left, back);
    const Dimension b = fromBack(right, back);
    place.require(a == b || a.isOne() || b.isOne(), "equal dimensions, or 1 in place of either");
    result.push_back(a.isOne() ? b : a);
  }
  return result;
}

Dimensions product(const Place& place) {
  place.requireRank(2);
  const Dimensions& left = place.inputs[0];
  const Dimensions& right = place.inputs[1];
  place.require(left.back() == fromBack(right, 2),
                "as many columns of the first as there are rows of the second");
  Dimensions result = broadcast(place, 2);
  result.push_back(fromBack(left, 2));
  result.push_back(right.back());
  return result;
}

Dimensions transposed(const Place& place, const List& axes) {
  const Dimensions& input = place.inputs[0];
  Dimensions result;
  unsigned seen = 0;
  for (const Index axis : axes) {
    const bool exists = axis >= 0 && static_cast<std::size_t>(axis) < input.size();
    place.require(exists && (seen >> axis & 1U) == 0, "each axis once in perm");
    seen |= 1U << axis;
    result.push_back(input[static_cast<std::size_t>(axis)]);
  }
  place.require(result.size() == input.size(), "each axis once in perm");
  return result;
}

/// The product of the numbers.
std::int64_t productOf(const Dimensions& dimensions) {
  std::int64_t product = 1;
  for (const Dimension dimension : dimensions) {
    if (dimension.isNumber()) product *= dimension.number();
  }
  return product;
}

/// Those that stand for an input's dimensions, and 1 in place of -1.
Dimensions asWritten(const Place& place, const List& shape) {
  const Dimensions& input = place.inputs[0];
  Dimensions result;
  bool isOpen = false;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const Index dimension = shape[axis];
    place.require(
        dimension > 0 || (dimension == 0 && axis < input.size()) || (dimension == -1 && !isOpen),
        "a shape of numbers, of 0 for a dimension of the input, and of one -1");
    isOpen = isOpen || dimension == -1;
    result.push_back(dimension == 0 ? input[axis] : Dimension(std::max(dimension, Index{1})));
  }
  return result;
}

Dimensions reshaped(const Place& place, const List& shape) {
  Dimensions result = asWritten(place, shape);
  const auto open =
      static_cast<std::size_t>(std::find(shape.begin(), shape.end(), -1) - shape.begin());
  const bool isOpen = open < shape.size();
  // What is left of the input when the dimensions that were written are taken out of it.
  Dimensions left = place.inputs[0];
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
  if (!isOpen) {
    place.require(fits && names == 0 && number == written, "a shape of as many elements");
    return result;
  }
  fits = fits && written > 0 && number % written == 0 &&
         (names == 0 || (names == 1 && number == written));
  place.require(fits,
                "a shape of as many elements, with one -1 for a number or for one named size");
  result[open] = names == 0 ? Dimension(static_cast<Index>(number / written))
                            : *std::find_if(left.begin(), left.end(), isName);
  return result;
}

}  // namespace

Dimensions inferShape(Operator op, std::string_view node, std::span<const Dimensions> inputs,
                      const List& list) {
  const Place place{op, node, inputs};
  switch (op) {
    case Operator::kMatMul:
      return product(place);
    case Operator::kTranspose:
      return transposed(place, list);
    case Operator::kReshape:
      return reshaped(place, list);
    case Operator::kSoftmax: {
      place.requireRank(1);
      const auto last = static_cast<Index>(inputs[0].size()) - 1;
      place.require(list.size() == 1 && (list[0] == -1 || list[0] == last), "the last axis");
      return inputs[0];
    }
    default:
      return inputs.size() == 1 ? inputs[0] : broadcast(place, 0);
  }
}

}  // namespace cross_attention::graph
