#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/index.hpp"

namespace cross_attention {

/// The dimensions of a dense row-major tensor: at most kMaxRank, none negative.
class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<Index> dimensions);

  /// Checks dimensions from the caller. `argument` is their name in error messages. Throws kShape if the rank
  /// exceeds kMaxRank or a dimension is negative, and kOutOfMemory if the number of elements does not fit in
  /// a machine word.
  static Shape checked(const std::vector<std::int64_t>& dimensions, const char* argument);

  int rank() const { return rank_; }
  Index operator[](int axis) const { return dimensions_[static_cast<std::size_t>(axis)]; }
  /// Returns the product of the dimensions; 1 for rank 0.
  Index size() const;
  bool operator==(const Shape& other) const = default;

  const Index* begin() const { return dimensions_.data(); }
  const Index* end() const { return dimensions_.data() + rank_; }

 private:
  std::array<Index, kMaxRank> dimensions_{};
  int rank_ = 0;
};

/// Formats a shape, for example as "[2, 320, 64, 64]".
std::string toString(const Shape& shape);

/// Returns `dimensions` with -1, if present, replaced so that the product is `size`. Throws kShape if that is
/// impossible.
Shape resolveReshape(const std::vector<std::int64_t>& dimensions, Index size);

}  // namespace cross_attention
