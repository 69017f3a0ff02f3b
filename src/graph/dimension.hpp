#pragma once

#include <string>
#include <string_view>

#include "core/shape.hpp"
#include "graph/inline_vector.hpp"

namespace cross_attention::graph {

/// A dimension of a node: a number, or a name for a size that is known only at run time. Names are interned:
/// each is stored once, for all graphs, and never freed.
class Dimension {
 public:
  Dimension(Index number = 0) : value_(number) {}
  Dimension(const char* name) : Dimension(std::string_view(name)) {}
  Dimension(std::string_view name);

  bool isNumber() const { return value_ >= 0; }
  Index number() const { return value_; }
  bool isOne() const { return value_ == 1; }
  const std::string& name() const;
  /// Returns the number of interned names.
  static std::size_t nameCount();
  /// Returns the index of a name among all interned names. Requires that this is not a number.
  std::size_t nameIndex() const { return static_cast<std::size_t>(-1 - value_); }
  bool operator==(const Dimension& other) const = default;

 private:
  /// The number, or -1 - nameIndex() for a name.
  Index value_;
};

using Dimensions = InlineVector<Dimension, Shape::kMaxRank>;

/// Formats dimensions, for example as "[batch, tokens, 320]".
std::string toString(const Dimensions& dimensions);

Dimensions toDimensions(const Shape& shape);
/// Requires that all dimensions are numbers. `name` identifies the shape in error messages.
Shape toShape(const Dimensions& dimensions, std::string_view name);

}  // namespace cross_attention::graph
