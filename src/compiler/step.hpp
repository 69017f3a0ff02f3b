#pragma once

#include <string>
#include <string_view>

#include "compiler/program.hpp"
#include "core/schedule.hpp"

namespace cross_attention::compiler {

/// A step of a plan, for people.
struct StepDescription {
  std::string_view step;    ///< the node's name
  const char* kernel;       ///< what computes it
  std::string association;  ///< how it is bracketed, where that was a choice; else empty
  double flops;
  double bytes;  ///< read and written
};

/// An operation that a plan does in every run.
class Step {
 public:
  /// `program` stays as it is while the step lives, but for its tensors.
  Step(const Program& program, const Operation& operation)
      : program_(program), operation_(operation) {}
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  /// Takes the program's tensors as they are for the run that follows. Allocates nothing.
  virtual void bind() = 0;
  /// Forgets them: nobody's tensor is held between runs.
  virtual void release() = 0;
  /// The work, from its beginning after bind.
  virtual Schedule& schedule() = 0;
  virtual StepDescription describe() const = 0;
  /// Memory that it keeps from run to run.
  virtual std::size_t heldBytes() const = 0;

 protected:
  const Operation& input(std::size_t number) const {
    return program_.at(operation_.inputs[number]);
  }

  const Program& program_;
  const Operation& operation_;
};

}  // namespace cross_attention::compiler
