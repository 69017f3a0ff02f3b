#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/shape.hpp"

namespace cross_attention::graph {

/// A dimension of a node: a number, or a name for a size that is known only at run time.
class Dimension {
 public:
  Dimension(Index number) : number_(number) {}
  Dimension(std::string name) : name_(std::move(name)) {}
  Dimension(const char* name) : name_(name) {}

  bool isNumber() const { return name_.empty(); }
  Index number() const { return number_; }
  const std::string& name() const { return name_; }
  bool isOne() const { return isNumber() && number_ == 1; }
  bool operator==(const Dimension& other) const = default;

 private:
  Index number_ = 0;
  std::string name_;
};

using Dimensions = std::vector<Dimension>;

/// "[batch, tokens, 320]"
std::string toString(const Dimensions& dimensions);

Dimensions toDimensions(const Shape& shape);
/// All of them numbers.
Shape toShape(const Dimensions& dimensions, const char* what);

}  // namespace cross_attention::graph
