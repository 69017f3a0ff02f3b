#pragma once

#include <memory>
#include <vector>

#include "compiler/attention_step.hpp"
#include "compiler/passes.hpp"
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
class Plan {
 public:
  /// Compiles one of the source's outputs. Nothing may be run before `place`; `source` must live as long.
  Plan(const Source& source, const graph::NodePointer& output, const CompileOptions& options,
       const std::shared_ptr<Workspace>& workspace);
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  /// The size of the arena that this plan takes, and the one that it is given: plans that do not run at the same time
  /// share it. Also takes the memory that runs need of threads' scratch.
  ByteCount arenaBytes() const { return memory_.bytes; }
  void place(const std::shared_ptr<memory::Piece>& arena);

  /// The inputs that every run takes: places among the graph's, ascending.
  const std::vector<int>& inputs() const { return inputs_; }
  const Shape& outputShape() const { return program_.at(program_.output).shape; }

  /// Readies a run: one tensor for each of inputs(), of the shapes that it was compiled for. Allocates nothing.
  void bind(std::span<const AnyTensor* const> inputs, const AnyTensor& output);
  /// All that is left of the run, or about so much of it, as Schedule does.
  void run(int slot);
  bool advance(double milliseconds);
  /// Forgets the tensors of the run.
  void release();

  double flops() const;
  /// What the graph would cost as it was written.
  double flopsBefore() const { return flopsBefore_; }
  double bytesBefore() const { return bytesBefore_; }
  ByteCount scratchBytes() const;
  std::size_t heldBytes() const;
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
