#include "core/shape.hpp"

#include <limits>

#include "core/error.hpp"

namespace cross_attention {

namespace {

std::string toString(const std::vector<std::int64_t>& dimensions) {
  std::string text = "[";
  for (std::size_t axis = 0; axis < dimensions.size(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(dimensions[axis]);
  }
  return text + "]";
}

}  // namespace

Shape::Shape(std::initializer_list<Index> dimensions) {
  for (Index dimension : dimensions) dimensions_[static_cast<std::size_t>(rank_++)] = dimension;
}

Shape Shape::checked(const std::vector<std::int64_t>& dimensions, const char* argument) {
  if (dimensions.size() > static_cast<std::size_t>(kMaxRank)) {
    failShape(std::string(argument) + " has rank " + std::to_string(dimensions.size()) +
              "; it takes at most " + std::to_string(kMaxRank) + " dimensions");
  }
  Shape shape;
  // The product of the dimensions that are not zero must be countable too: strides are made of it.
  std::int64_t size = 1;
  for (std::int64_t dimension : dimensions) {
    if (dimension < 0) {
      failShape(std::string(argument) + " is " + toString(dimensions) +
                "; its dimensions must not be negative");
    }
    constexpr std::int64_t kLimit = std::numeric_limits<Index>::max() / 16;
    const std::int64_t factor = dimension == 0 ? 1 : dimension;
    if (factor > kLimit || size > kLimit / factor) {
      throw Error(ErrorCode::kOutOfMemory, std::string(argument) + " is " + toString(dimensions) +
                                               "; so many elements cannot be held in memory");
    }
    size *= factor;
    shape.dimensions_[static_cast<std::size_t>(shape.rank_++)] = static_cast<Index>(dimension);
  }
  return shape;
}

Index Shape::size() const {
  Index size = 1;
  for (Index dimension : *this) size *= dimension;
  return size;
}

std::string toString(const Shape& shape) {
  std::string text = "[";
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(shape[axis]);
  }
  return text + "]";
}

Shape resolveReshape(const std::vector<std::int64_t>& dimensions, Index size) {
  std::vector<std::int64_t> resolved = dimensions;
  std::size_t unknown = dimensions.size();
  for (std::size_t axis = 0; axis < dimensions.size(); ++axis) {
    if (dimensions[axis] != -1) continue;
    if (unknown != dimensions.size()) {
      failShape("shape is " + toString(dimensions) + "; only one dimension may be -1");
    }
    unknown = axis;
  }
  const bool hasUnknown = unknown != dimensions.size();
  if (hasUnknown) resolved[unknown] = 1;
  Index known = 0;
  try {
    known = Shape::checked(resolved, "shape").size();
  } catch (const Error& error) {
    // Dimensions too large to count can't match a tensor that exists: a wrong shape, not a lack of memory.
    failShape(error.message());
  }
  if (hasUnknown && known > 0 && size % known == 0) {
    resolved[unknown] = size / known;
    known = size;
  }
  if (known != size || (hasUnknown && known == 0)) {
    failShape("shape is " + toString(dimensions) + "; it takes one of " + std::to_string(size) +
              " elements");
  }
  return Shape::checked(resolved, "shape");
}

}  // namespace cross_attention
