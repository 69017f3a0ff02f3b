#pragma once

#include "compiler/plan.hpp"
#include "core/pending_work.hpp"

namespace cross_attention::compiler {

/// A run that was started and waits for its turn, or is in progress. It computes with the parameters at its
/// start: its graph and the layers finish it before they change or are destroyed. See PendingWork.
class PendingRun final : public Finishable {
 public:
  /// `inputs` are the tensors of the plan, checked. `previous` is the last run of the same graph, which is
  /// finished before this one begins; it may be null or destroyed.
  PendingRun(Plan& plan, std::span<const AnyTensor* const> inputs, const AnyTensor& output,
             std::weak_ptr<PendingRun> previous);
  /// Finishes the run, because a plan must not stay bound to tensors after it.
  ~PendingRun() override { finish(); }
  PendingRun(const PendingRun&) = delete;
  PendingRun& operator=(const PendingRun&) = delete;

  /// See PendingWork. Returns false if the run is finished.
  bool runInBackground(std::function<void()> done);
  bool advance(double milliseconds);
  /// Runs or awaits the remaining work.
  void finish() override;
  /// Finishes and returns the output. Throws the exception of the run, if there was one.
  AnyTensor result();
  bool isFinished() const { return work_.isFinished(); }

 private:
  /// Binds the plan, which runs of the same graph share one after another, when it is this run's turn.
  void begin();

  Plan& plan_;  ///< valid until it is finished
  std::vector<AnyTensor> inputs_;
  std::vector<const AnyTensor*> inputPointers_;
  AnyTensor output_;
  std::weak_ptr<PendingRun> previous_;
  bool hasBegun_ = false;
  PendingWork work_;
};

/// A compiled graph, for fixed input shapes and optional constant inputs, that runs any number of times. It
/// uses the parameters it was compiled with: after a layer's parameters have changed, runs throw until
/// refresh is called. Not thread-safe. Started runs execute in order; all other calls finish them first.
class CompiledGraph {
 public:
  /// Throws kShape or kArgument, naming the node, if the graph is invalid, and kOutOfMemory.
  CompiledGraph(Source source, const CompileOptions& options);
  ~CompiledGraph();
  CompiledGraph(const CompiledGraph&) = delete;
  CompiledGraph& operator=(const CompiledGraph&) = delete;

  /// Computes an output from one tensor for each of its plan's inputs(). Throws kArgument if one is missing,
  /// or if a layer has changed or was disposed; throws kShape if a shape differs from the compiled one. Does
  /// not allocate if an earlier output of this shape is no longer used.
  AnyTensor run(std::size_t output, std::span<const AnyTensor* const> inputs);
  /// Throws as `run` does. Allocates the output if earlier ones are still in use.
  std::shared_ptr<PendingRun> start(std::size_t output, std::span<const AnyTensor* const> inputs);
  /// Compiles again with the current parameters of the layers and the current constants.
  void refresh();

  std::size_t outputs() const { return plans_.size(); }
  const Plan& plan(std::size_t output) const { return *plans_[output]; }
  /// The sum over all outputs.
  double flops() const;
  /// Returns the working memory of runs in bytes, without inputs and outputs: the arena and the threads'
  /// scratch.
  ByteCount scratchBytes() const;

 private:
  /// `graph` describes the user of the layer in the message.
  static void requireAlive(const graph::ConstantOwner& owner, const char* graph);
  void requireFresh() const;
  /// Throws unless a run with these inputs is possible now.
  void check(const Plan& plan, std::span<const AnyTensor* const> inputs) const;
  AnyTensor freeOutput(const Shape& shape);
  void finishPending();

  Source source_;
  CompileOptions options_;
  std::vector<const graph::ConstantOwner*> owners_;  ///< the layers whose parameters are used
  /// Versions of their parameters at the last compilation.
  std::vector<std::uint64_t> versions_;
  std::shared_ptr<memory::Allocation> arena_;
  std::vector<std::unique_ptr<Plan>> plans_;
  /// One output per shape, reused after all users have released it.
  std::vector<AnyTensor> outputs_;
  /// In the order in which they started.
  std::vector<std::weak_ptr<PendingRun>> pending_;
};

}  // namespace cross_attention::compiler
