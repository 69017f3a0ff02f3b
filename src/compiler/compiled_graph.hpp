#pragma once

#include "compiler/plan.hpp"
#include "core/pending_work.hpp"

namespace cross_attention::compiler {

/// A run under way, which its graph finishes before it goes itself. See PendingWork.
class PendingRun final : public Finishable {
 public:
  /// Of a plan that is bound to its inputs and this output.
  PendingRun(Plan& plan, const AnyTensor& output);
  /// Finishes: a plan must not stay bound to tensors that nobody awaits.
  ~PendingRun() override { finish(); }
  PendingRun(const PendingRun&) = delete;
  PendingRun& operator=(const PendingRun&) = delete;

  bool runBehind(std::function<void()> done) { return work_.runBehind(std::move(done)); }
  bool advance(double milliseconds) { return work_.advance(milliseconds); }
  /// Does or awaits what is left.
  void finish() override;
  /// The output; finishes first. Throws what the run threw.
  AnyTensor result();

 private:
  Plan& plan_;  ///< until it is finished
  AnyTensor output_;
  PendingWork work_;
};

/// A graph made ready to run, once or a thousand times, for fixed shapes and some constant inputs. It holds what it was
/// compiled with: once the parameters of a layer have changed, runs throw until refresh. Not to be used by two threads at
/// once; a run that is under way is finished before another begins.
class CompiledGraph {
 public:
  /// Throws kShape or kArgument, naming the node, for a graph that does not fit; kOutOfMemory.
  CompiledGraph(Source source, const CompileOptions& options);
  ~CompiledGraph();
  CompiledGraph(const CompiledGraph&) = delete;
  CompiledGraph& operator=(const CompiledGraph&) = delete;

  /// Output number `output`, from a tensor for each of its plan's inputs(). Throws kArgument where one is missing, or a
  /// layer has changed or is no more; kShape for another shape than it was compiled for. Allocates nothing where an output
  /// of this shape that it gave before is nobody's any more.
  AnyTensor run(std::size_t output, std::span<const AnyTensor* const> inputs);
  std::shared_ptr<PendingRun> start(std::size_t output, std::span<const AnyTensor* const> inputs);
  /// Compiles again with the parameters that the layers have now, and the constants as they are now.
  void refresh();

  std::size_t outputs() const { return plans_.size(); }
  const Plan& plan(std::size_t output) const { return *plans_[output]; }
  /// Of all outputs together.
  double flops() const;
  /// What runs work in, without inputs and outputs: the arena and threads' scratch.
  ByteCount scratchBytes() const;

 private:
  /// `graph`: what would take it, for people.
  static void requireAlive(const graph::ConstantOwner& owner, const char* graph);
  void requireFresh() const;
  /// Binds the plan to its inputs and to the output that is returned.
  AnyTensor bind(Plan& plan, std::span<const AnyTensor* const> inputs);
  AnyTensor freeOutput(const Shape& shape);
  void finishPending();

  Source source_;
  CompileOptions options_;
  std::vector<const graph::ConstantOwner*> owners_;  ///< the layers
  std::vector<std::uint64_t> versions_;              ///< of their parameters, that were compiled
  std::shared_ptr<memory::Piece> arena_;
  std::vector<std::unique_ptr<Plan>> plans_;
  /// One of each shape, to be given again once it is nobody else's.
  std::vector<AnyTensor> outputs_;
  std::weak_ptr<PendingRun> pending_;
};

}  // namespace cross_attention::compiler
