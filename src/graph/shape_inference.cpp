#include "graph/shape_inference.hpp"

#include <algorithm>
#include <optional>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::graph {

namespace {

/// The node at work, for the messages.
struct Place {
  Operator op;
  const std::string& node;
  const std::vector<Dimensions>& inputs;

  [[noreturn]] void fail(const char* takes) const {
    std::string shapes;
    for (const Dimensions& input : inputs) {
      shapes += text({shapes.empty() ? "" : " and ", toString(input)});
    }
    failShape({"node '", node, "' has inputs of shape ", shapes, "; ", nameOf(op), " takes ",
                    takes});
  }
  const Dimensions& withRank(std::size_t input, std::size_t least) const {
    if (inputs[input].size() < least) fail("more dimensions");
    return inputs[input];
  }
};

/// The dimensions of both, the last ones facing each other; where one is 1, the other.
Dimensions broadcast(const Place& place, const Dimensions& left, const Dimensions& right) {
  Dimensions result(std::max(left.size(), right.size()), Dimension(1));
  for (std::size_t back = 1; back <= result.size(); ++back) {
    const Dimension a = back <= left.size() ? left[left.size() - back] : Dimension(1);
    const Dimension b = back <= right.size() ? right[right.size() - back] : Dimension(1);
    if (a != b && !a.isOne() && !b.isOne()) {
      place.fail("equal dimensions, or 1 in place of either");
    }
    result[result.size() - back] = a.isOne() ? b : a;
  }
  return result;
}

Dimensions product(const Place& place) {
  const Dimensions& left = place.withRank(0, 2);
  const Dimensions& right = place.withRank(1, 2);
  if (left.back() != right[right.size() - 2]) {
    place.fail("as many columns of the first as there are rows of the second");
  }
  Dimensions result = broadcast(place, {left.begin(), left.end() - 2}, {right.begin(), right.end() - 2});
  result.push_back(left[left.size() - 2]);
  result.push_back(right.back());
  return result;
}

Dimensions transposed(const Place& place, const std::vector<std::int64_t>& axes) {
  const Dimensions& input = place.inputs[0];
  std::vector<std::int64_t> sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  bool isPermutation = sorted.size() == input.size();
  for (std::size_t axis = 0; axis < sorted.size(); ++axis) {
    isPermutation = isPermutation && sorted[axis] == static_cast<std::int64_t>(axis);
  }
  if (!isPermutation) place.fail("each axis once in perm");
  Dimensions result;
  for (const std::int64_t axis : axes) result.push_back(input[static_cast<std::size_t>(axis)]);
  return result;
}

/// The product of the numbers; names are taken out of it and counted by themselves.
struct Product {
  std::int64_t number = 1;
  std::vector<std::string> names;

  explicit Product(const Dimensions& dimensions) {
    for (const Dimension& dimension : dimensions) {
      if (dimension.isNumber()) {
        number *= dimension.number();
      } else {
        names.push_back(dimension.name());
      }
    }
    std::sort(names.begin(), names.end());
  }
};

Dimensions reshaped(const Place& place, const std::vector<std::int64_t>& shape) {
  const Dimensions& input = place.inputs[0];
  Dimensions result;
  std::optional<std::size_t> open;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t dimension = shape[axis];
    if (dimension < -1 || (dimension == -1 && open) || (dimension == 0 && axis >= input.size())) {
      place.fail("a shape of numbers, of 0 for a dimension of the input, and of one -1");
    }
    if (dimension == -1) open = axis;
    result.push_back(dimension == 0 ? input[axis] : Dimension(static_cast<Index>(std::max<std::int64_t>(dimension, 1))));
  }
  const Product before(input);
  const Product after(result);
  if (!open) {
    if (before.number != after.number || before.names != after.names) {
      place.fail("a shape of as many elements");
    }
    return result;
  }
  std::vector<std::string> rest;
  std::set_difference(before.names.begin(), before.names.end(), after.names.begin(),
                      after.names.end(), std::back_inserter(rest));
  const bool divides = after.number > 0 && before.number % after.number == 0;
  const std::int64_t quotient = divides ? before.number / after.number : 0;
  const bool namesFit = before.names.size() == after.names.size() + rest.size();
  if (!divides || !namesFit || rest.size() > 1 || (rest.size() == 1 && quotient != 1)) {
    place.fail("a shape of as many elements, with one -1 for a number or for one named size");
  }
  result[*open] = rest.empty() ? Dimension(static_cast<Index>(quotient)) : Dimension(rest.front());
  return result;
}

}  // namespace

Dimensions inferShape(Operator op, const std::string& node, const std::vector<Dimensions>& inputs,
                      const std::vector<std::int64_t>& list) {
  const Place place{op, node, inputs};
  switch (op) {
    case Operator::kMatMul:
      return product(place);
    case Operator::kTranspose:
      return transposed(place, list);
    case Operator::kReshape:
      return reshaped(place, list);
    case Operator::kSoftmax: {
      const Dimensions& input = place.withRank(0, 1);
      const auto last = static_cast<std::int64_t>(input.size()) - 1;
      if (list.size() != 1 || (list[0] != -1 && list[0] != last)) place.fail("the last axis");
      return input;
    }
    default:
      if (!isElementwise(op)) {
        failArgument({"node '", node, "' is ", nameOf(op), "; it takes an operator"});
      }
      return inputs.size() == 1 ? inputs[0] : broadcast(place, inputs[0], inputs[1]);
  }
}

}  // namespace cross_attention::graph
