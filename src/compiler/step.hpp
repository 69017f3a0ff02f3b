#pragma once

#include <string>
#include <string_view>

#include "compiler/program.hpp"
#include "core/schedule.hpp"

namespace cross_attention::compiler {

/// A step of a plan, for output.
struct StepDescription {
  std::string_view step;  ///< name of the node
  const char* kernel;     ///< name of its kernel
  /// The chosen bracketing of products; empty if there was no choice.
  std::string association;
  double flops;
  double bytes;  ///< bytes read and written
};

/// An operation that runs in every run of a plan.
class Step {
 public:
  /// `program` must not change while the step exists, except for its tensors.
  Step(const Program& program, const Operation& operation) : program_(program), operation_(operation) {}
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  /// Binds to the program's current tensors for the next run. Does not allocate.
  virtual void bind() = 0;
  /// Releases them: no caller's tensor is referenced between runs.
  virtual void release() = 0;
  /// The step's work. bind rewinds it.
  virtual Schedule& schedule() = 0;
  virtual StepDescription describe() const = 0;
  /// Bytes that the step caches between runs.
  virtual std::size_t cachedBytes() const = 0;

 protected:
  const Operation& input(std::size_t number) const { return program_.at(operation_.inputs[number]); }

  const Program& program_;
  const Operation& operation_;
};

}  // namespace cross_attention::compiler
