#pragma once

#include <memory>
#include <vector>

#include "compiler/attention_step.hpp"
#include "compiler/program.hpp"
#include "compiler/step.hpp"

namespace cross_attention::compiler {

/// What a graph is compiled with; each pass may be left out.
struct CompileOptions {
  bool shareSubexpressions = true;
  bool fuseAttention = true;
  bool keepLayout = true;
  bool foldConstants = true;
  AttentionOptions attention;
};

/// One output of a compiled graph: the steps from inputs to it.
template <class T>
class Plan {
 public:
  /// Compiles. Nothing may be run before `place`.
  Plan(const Binding& binding, const CompileOptions& options, std::shared_ptr<Workspace> workspace);
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  /// The arena that this plan takes, in elements, and the one that it is given: plans that do not run at the same time
  /// share it. Also takes the memory that runs need of threads' scratch.
  Amount arenaElements() const { return arenaElements_; }
  void place(const std::shared_ptr<Buffer<T>>& arena);

  /// The inputs that every run takes: places among the graph's, ascending.
  const std::vector<int>& inputs() const { return inputs_; }
  const Shape& outputShape() const { return program_.at(program_.output).shape; }

  /// Readies a run: one tensor for each of inputs(), of the shapes that it was compiled for. Allocates nothing.
  void bind(std::span<const Tensor<T>* const> inputs, const Tensor<T>& output);
  /// All that is left of the run, or about so much of it, as Schedule does.
  void run(int slot);
  bool advance(double milliseconds);
  /// Forgets the tensors of the run.
  void release();

  double flops() const;
  /// What the graph would cost as it was written.
  double flopsBefore() const { return flopsBefore_; }
  double bytesBefore() const { return bytesBefore_; }
  Amount scratchBytes() const;
  std::size_t heldBytes() const;
  std::vector<StepDescription> describe() const;

 private:
  Program program_;
  std::vector<int> inputs_;
  double flopsBefore_ = 0;
  double bytesBefore_ = 0;
  std::vector<Amount> offsets_;  ///< see MemoryPlan
  Amount arenaElements_ = 0;
  std::vector<Tensor<T>> values_;  ///< one an operation
  std::vector<std::unique_ptr<Step<T>>> steps_;
  std::size_t nextStep_ = 0;
  std::shared_ptr<Workspace> workspace_;
  const Tensor<T> none_ = placeholder<T>(Shape{0});
};

}  // namespace cross_attention::compiler
