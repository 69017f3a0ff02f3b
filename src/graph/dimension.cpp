#include "graph/dimension.hpp"

#include <algorithm>
#include <vector>

#include "core/text.hpp"

namespace cross_attention::graph {

namespace {

/// All dimension names used so far.
std::vector<std::string>& allNames() {
  static std::vector<std::string> names;
  return names;
}

}  // namespace

Dimension::Dimension(std::string_view name) {
  std::vector<std::string>& names = allNames();
  const auto known = std::find(names.begin(), names.end(), name);
  const Index index = known - names.begin();
  if (known == names.end()) {
    const std::string copy(name);
    names.push_back(copy);
  }
  value_ = -1 - index;
}

std::size_t Dimension::nameCount() { return allNames().size(); }

const std::string& Dimension::name() const { return allNames()[nameIndex()]; }

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
  for (const Index dimension : shape) dimensions.push_back(dimension);
  return dimensions;
}

Shape toShape(const Dimensions& dimensions, std::string_view name) {
  std::vector<std::int64_t> numbers;
  for (const Dimension& dimension : dimensions) numbers.push_back(dimension.number());
  return Shape::checked(numbers, std::string(name).c_str());
}

}  // namespace cross_attention::graph
