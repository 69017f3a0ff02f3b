#include "core/shape.hpp"

#include <limits>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention {

namespace {

template <class Dimensions>
std::string list(const Dimensions& dimensions) {
  std::string result = "[";
  for (const std::int64_t dimension : dimensions) {
    if (result.size() > 1) result += ", ";
    result += text({dimension});
  }
  return result + "]";
}

}  // namespace

Shape::Shape(std::initializer_list<Index> dimensions) {
  for (Index dimension : dimensions) dimensions_[static_cast<std::size_t>(rank_++)] = dimension;
}

Shape Shape::checked(const std::vector<std::int64_t>& dimensions, const char* argument) {
  if (dimensions.size() > static_cast<std::size_t>(kMaxRank)) {
    failShape({argument, " has rank ", dimensions.size(), "; expected at most ", kMaxRank, " dimensions"});
  }
  Shape shape;
  // The product of the nonzero dimensions must be representable too, because strides are computed from it.
  std::int64_t size = 1;
  for (std::int64_t dimension : dimensions) {
    if (dimension < 0) {
      failShape({argument, " is ", list(dimensions), "; expected dimensions of at least 0"});
    }
    // Byte offsets must fit in an Index for every dtype.
    constexpr std::int64_t kLimit = std::numeric_limits<Index>::max() / sizeof(double);
    const std::int64_t factor = dimension == 0 ? 1 : dimension;
    if (factor > kLimit || size > kLimit / factor) {
      failOutOfMemory({argument, " is ", list(dimensions), "; it has more elements than memory can address"});
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

std::string toString(const Shape& shape) { return list(shape); }

Shape resolveReshape(const std::vector<std::int64_t>& dimensions, Index size) {
  std::vector<std::int64_t> resolved = dimensions;
  std::size_t unknown = dimensions.size();
  for (std::size_t axis = 0; axis < dimensions.size(); ++axis) {
    if (dimensions[axis] != -1) continue;
    if (unknown != dimensions.size()) {
      failShape({"shape is ", list(dimensions), "; expected at most one -1"});
    }
    unknown = axis;
  }
  const bool hasUnknown = unknown != dimensions.size();
  if (hasUnknown) resolved[unknown] = 1;
  Index known = 0;
  try {
    known = Shape::checked(resolved, "shape").size();
  } catch (const Error& error) {
    // A shape that is too large cannot match an existing tensor: report a wrong shape, not a lack of memory.
    failShape({error.message()});
  }
  const Index divisor = known;
  if (hasUnknown && divisor > 0 && size % divisor == 0) {
    resolved[unknown] = size / divisor;
    known = size;
  }
  if (known != size || (hasUnknown && divisor == 0)) {
    failShape({"shape is ", list(dimensions), "; expected a shape with ", size, " elements"});
  }
  return Shape::checked(resolved, "shape");
}

}  // namespace cross_attention
