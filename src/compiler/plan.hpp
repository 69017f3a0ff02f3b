#pragma once

#include <memory>
#include <vector>

#include "compiler/attention_step.hpp"
#include "compiler/passes.hpp"
#include "compiler/program.hpp"
#include "compiler/step.hpp"

namespace cross_attention::compiler {

/// Options of the compiler. Each pass can be disabled.
struct CompileOptions {
  bool shareSubexpressions = true;
  bool fuseAttention = true;
  bool keepLayout = true;
  bool foldConstants = true;
  AttentionOptions attention;
};

/// The plan for one output of a compiled graph: the steps from its inputs to the output.
class Plan {
 public:
  /// Compiles one of the source's outputs. setArena must be called before the first run. `source` must
  /// outlive the plan.
  Plan(const Source& source, const graph::NodePointer& output, const CompileOptions& options,
       const std::shared_ptr<Workspace>& workspace);
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  /// The arena holds intermediate values. Plans that do not run at the same time share one of at least
  /// arenaBytes(). setArena also reserves the threads' scratch.
  ByteCount arenaBytes() const { return memory_.bytes; }
  void setArena(const std::shared_ptr<memory::Allocation>& arena);

  /// Indices, ascending, of the graph's inputs that every run requires.
  const std::vector<int>& inputs() const { return inputs_; }
  const Shape& outputShape() const { return program_.at(program_.output).shape; }

  /// Prepares a run with one tensor for each of inputs(), of the compiled shapes. Does not allocate.
  void bind(std::span<const AnyTensor* const> inputs, const AnyTensor& output);
  /// Run the rest, or about `milliseconds` of it; see Schedule.
  void run(int slot);
  bool advance(double milliseconds);
  /// Releases the tensors of the run.
  void release();

  double flops() const;
  /// The cost of the graph before optimization.
  double flopsBefore() const { return flopsBefore_; }
  double bytesBefore() const { return bytesBefore_; }
  ByteCount scratchBytes() const;
  std::size_t cachedBytes() const;
  const std::vector<std::unique_ptr<Step>>& steps() const { return steps_; }

 private:
  Program program_;
  std::vector<int> inputs_;
  double flopsBefore_ = 0;
  double bytesBefore_ = 0;
  MemoryPlan memory_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::size_t nextStep_ = 0;
};

}  // namespace cross_attention::compiler
