#pragma once

#include <string>
#include <string_view>

#include "core/shape.hpp"
#include "graph/short_list.hpp"

namespace cross_attention::graph {

/// A dimension of a node: a number, or a name for a size that is known only at run time. Names are kept for good, each once
/// for all graphs.
class Dimension {
 public:
  Dimension(Index number = 0) : value_(number) {}
  Dimension(const char* name) : Dimension(std::string_view(name)) {}
  Dimension(std::string_view name);

  bool isNumber() const { return value_ >= 0; }
  Index number() const { return value_; }
  bool isOne() const { return value_ == 1; }
  const std::string& name() const;
  /// How many names there are.
  static std::size_t names();
  /// Of a name: its place among all names.
  std::size_t place() const { return static_cast<std::size_t>(-1 - value_); }
  bool operator==(const Dimension& other) const = default;

 private:
  Index value_;  ///< of a name: -1 - place()
};

using Dimensions = ShortList<Dimension, Shape::kMaxRank>;

/// "[batch, tokens, 320]"
std::string toString(const Dimensions& dimensions);

Dimensions toDimensions(const Shape& shape);
/// All of them numbers.
Shape toShape(const Dimensions& dimensions, std::string_view what);

}  // namespace cross_attention::graph
