#pragma once

#include <optional>

#include "attention/scores.hpp"
#include "core/schedule.hpp"
#include "layer/mask.hpp"
#include "layer/packed_weights.hpp"
#include "layer/planner.hpp"
#include "layer/projected_context.hpp"
#include "layer/statistics.hpp"
#include "layer/token_layout.hpp"

namespace cross_attention::layer {

/// The checked arguments of a call.
template <class T>
struct Arguments {
  Tensor<T> input;
  TokenLayout layout;
  Context<T> context;
  Mask<T> mask;

  /// Throws kShape where input, context and mask do not fit the layer or each other.
  static Arguments check(const Configuration& configuration, const Tensor<T>& input,
                         const Tensor<T>* context, const Mask<T>& mask);

  /// The additive mask as one head of one batch row sees it.
  attention::HeadMask<T> headMask(Index batchRow, Index head) const;
  /// Elements of the additive mask from one head to the next; 0: the same for all.
  Index maskHeadStride() const;
  /// Whether a pass folds the context with the weights.
  bool foldsContext(const Configuration& configuration) const;
  /// input, context and mask, as far as they are given.
  std::array<NamedShape, 3> shapes() const;
};

/// What a training forward keeps for the way back.
template <class T>
struct Activations {
  Arguments<T> arguments;
  std::shared_ptr<const ProjectedContext<T>> projected;
  std::uint64_t parametersVersion;
  Buffer<T> logSumExp;  ///< [B, heads, N]

  const T* logSumExpOf(const Configuration& configuration, Index batchRow, Index head) const {
    return logSumExp.data() + (batchRow * configuration.numHeads + head) * arguments.layout.tokens;
  }
};

/// What kind of forward it is.
struct ForwardOptions {
  bool training = false;           ///< activations are kept
  Index leastTasks = 1;            ///< see ForwardWork
  std::optional<bool> folds = {};  ///< whether the context is folded; none: as the shapes decide
  bool contextIsReady = false;     ///< `ready` is taken unseen
  bool repeats = false;            ///< the schedule is run again and again: see bind
};

/// One forward over all tokens. A task takes a block of tokens through all of it: query projection, attention of all
/// heads, output projection – or, with a folded context, all heads' probabilities and the output from them – so that
/// nothing of the size of the image exists but input and output.
template <class T>
class ForwardPass {
 public:
  /// `ready`: a projected context that may be taken if it matches, or null. Allocates; the work is the schedule's.
  /// Weights and parameters must stay as they are until it is done.
  ForwardPass(const Configuration& configuration, const Parameters<T>& parameters,
              std::shared_ptr<PackedWeights<T>> weights, std::shared_ptr<Workspace> workspace,
              Arguments<T> arguments, std::shared_ptr<const ProjectedContext<T>> ready,
              const ForwardOptions& options);

  /// Other tensors of the same shapes in place of the arguments and the output, and the schedule from its beginning.
  /// `context` and `mask` (an additive one): null where there is none, or where it stays. Allocates nothing.
  void bind(const Tensor<T>& input, const Tensor<T>* context, const Tensor<T>* mask,
            const Tensor<T>& output);

  Schedule& schedule() { return schedule_; }
  const Tensor<T>& output() const { return output_; }
  const Arguments<T>& arguments() const { return arguments_; }
  const std::shared_ptr<const ProjectedContext<T>>& projected() const { return projected_; }
  bool contextWasReady() const { return contextWasReady_; }
  /// What backward needs, once; null where this was no training forward.
  std::shared_ptr<const Activations<T>> takeActivations();
  /// What the pass is to do. How it went is the caller's to add.
  PassStatistics& statistics() { return statistics_; }
  std::size_t bytesBefore() const { return bytesBefore_; }

 private:
  void addTokenBlocks();
  /// Floating-point operations that the schedule does.
  double flops() const;
  void runTokenBlock(Index batchRow, Index begin, Index count, Scratch& scratch);
  void runFoldedTokenBlock(Index batchRow, Index begin, Index count, Scratch& scratch);
  linalg::ColumnPanels<T> packInput(Index batchRow, Index begin, Index count,
                                    Scratch& scratch) const;
  T* logSumExpOf(Index batchRow, Index head, Index token);
  /// `result`: queryDim × tokens, for a while.
  void projectOutput(linalg::RowPanels<T> weight, linalg::ColumnPanels<const T> attended,
                     linalg::ColumnPanels<T> result, Index batchRow, Index begin);

  Configuration configuration_;
  Arguments<T> arguments_;
  bool folded_;
  std::shared_ptr<const PackedWeights<T>> weights_;  ///< those that its kind takes are packed
  /// After the weights were packed: they stay.
  std::size_t bytesBefore_ = memory::bytesInUse();
  std::shared_ptr<const ProjectedContext<T>> projected_;
  bool contextWasReady_ = false;
  Plan plan_{};
  std::shared_ptr<Activations<T>> activations_;
  Tensor<T> output_;
  const T* bias_;
  PassStatistics statistics_;
  Schedule schedule_;
};

}  // namespace cross_attention::layer
