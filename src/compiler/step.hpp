#pragma once

#include <span>
#include <string>

#include "core/schedule.hpp"
#include "core/tensor.hpp"

namespace cross_attention::compiler {

/// A step of a plan, for people.
struct StepDescription {
  std::string step;         ///< the node's name
  std::string kernel;       ///< what computes it
  std::string association;  ///< how it is bracketed, where that was a choice; else empty
  double flops = 0;
  double bytes = 0;  ///< read and written
};

/// Something that a plan does in every run. The values are those of the program's operations, by their places.
class Step {
 public:
  virtual ~Step() = default;
  /// Where the values are in the run that follows. Allocates nothing.
  virtual void bind(std::span<const AnyTensor> values) = 0;
  /// Forgets them: nobody's tensor is held between runs.
  virtual void release() = 0;
  /// The work, from its beginning after bind.
  virtual Schedule& schedule() = 0;
  virtual StepDescription describe() const = 0;
  /// Memory that it keeps from run to run.
  virtual std::size_t heldBytes() const = 0;
};

/// A tensor without elements that stands for one of this shape.
inline AnyTensor placeholder(const Shape& shape) { return AnyTensor(shape, nullptr, 0); }

}  // namespace cross_attention::compiler
