#include "graph/dimension.hpp"

#include <algorithm>
#include <vector>

#include "core/text.hpp"

namespace cross_attention::graph {

namespace {

/// All names that there were.
std::vector<std::string>& allNames() {
  static std::vector<std::string> names;
  return names;
}

}  // namespace

Dimension::Dimension(std::string_view name) {
  std::vector<std::string>& names = allNames();
  const auto known = std::find(names.begin(), names.end(), name);
  const Index place = known - names.begin();
  if (known == names.end()) {
    const std::string kept(name);
    names.push_back(kept);
  }
  value_ = -1 - place;
}

std::size_t Dimension::names() { return allNames().size(); }

const std::string& Dimension::name() const { return allNames()[place()]; }

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

Shape toShape(const Dimensions& dimensions, std::string_view what) {
  std::vector<std::int64_t> numbers;
  for (const Dimension& dimension : dimensions) numbers.push_back(dimension.number());
  return Shape::checked(numbers, std::string(what).c_str());
}

}  // namespace cross_attention::graph
