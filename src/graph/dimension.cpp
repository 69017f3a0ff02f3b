#include "graph/dimension.hpp"

#include "core/text.hpp"

namespace cross_attention::graph {

std::string toString(const Dimensions& dimensions) {
  std::string result = "[";
  for (const Dimension& dimension : dimensions) {
    if (result.size() > 1) result += ", ";
    result += dimension.isNumber() ? text({dimension.number()}) : dimension.name();
  }
  return result + "]";
}

Dimensions toDimensions(const Shape& shape) {
  Dimensions dimensions;
  for (const Index dimension : shape) dimensions.emplace_back(dimension);
  return dimensions;
}

Shape toShape(const Dimensions& dimensions, const char* what) {
  std::vector<std::int64_t> numbers;
  for (const Dimension& dimension : dimensions) numbers.push_back(dimension.number());
  return Shape::checked(numbers, what);
}

}  // namespace cross_attention::graph
