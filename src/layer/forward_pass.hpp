#pragma once

#include <optional>

#include "core/schedule.hpp"
#include "layer/activations.hpp"
#include "layer/planner.hpp"
#include "layer/prepared_context.hpp"
#include "layer/projection.hpp"
#include "layer/recording.hpp"

namespace cross_attention::layer {

struct ForwardOptions {
  /// The pass saves its activations for a backward pass.
  bool training = false;
  /// See ForwardWork.
  Index minTasks = 1;
  /// The schedule runs more than once, each time after bind: the pass allocates no output.
  bool repeats = false;
  /// What is recorded, already checked; null: nothing.
  const RecordOptions* record = nullptr;
};

/// One forward pass over all tokens. A task computes everything for a block of tokens: query projection,
/// attention of all heads, output projection; or, with a folded context, the probabilities of all heads and
/// the output. Therefore only the input and the output have the size of the image.
template <class T>
class ForwardPass {
 public:
  /// The weights that the pass itself reads, which prepareContext packs.
  static constexpr PackedWeightSet requiredWeights(bool folded) {
    if (folded) return {};
    return {PackedWeight::kQuery, PackedWeight::kOutput};
  }

  /// The pass computes folded attention if `context.folded`. Allocates all memory; the schedule does the
  /// work. Parameters and weights must not change until it is done.
  ForwardPass(PassInputs<T> inputs, Arguments<T> arguments, const PreparedContext<T>& context,
              const ForwardOptions& options);

  /// Replaces the arguments and the output by tensors of the same shapes and rewinds the schedule. `context`
  /// and `mask` (an additive one) are null if there is none or if it does not change. Allocates nothing.
  void bind(const Tensor<T>& input, const Tensor<T>* context, const Tensor<T>* mask, const Tensor<T>& output);

  Schedule& schedule() { return schedule_; }
  const Tensor<T>& output() const { return output_; }
  const Arguments<T>& arguments() const { return arguments_; }
  const std::shared_ptr<const ProjectedContext<T>>& projected() const { return projected_; }
  /// True if the pass was given a finished context.
  bool contextWasFinished() const { return contextWasFinished_; }
  /// Returns what a backward pass needs and gives it up; null if this is not a training pass.
  std::shared_ptr<const Activations<T>> takeActivations();
  /// Adds what was recorded to the recorder.
  void commitRecording() {
    if (recording_) recording_->commit();
  }
  /// The sizes of the pass. The caller adds time and memory.
  PassStatistics& statistics() { return statistics_; }
  std::size_t bytesBefore() const { return bytesBefore_; }

 private:
  void addTokenBlocks();
  /// Returns the FLOPs of the schedule.
  double flops() const;
  void runTokenBlock(Index batchRow, Index begin, Index count, Scratch& scratch);
  void runFoldedTokenBlock(Index batchRow, Index begin, Index count, Scratch& scratch);
  /// `memory`: of queryDim × tokens.
  linalg::ColumnPanels<T> packInput(Index batchRow, Index begin, Index count, T* memory) const;
  T* logSumExpOf(Index batchRow, Index head, Index token);
  attention::GroupSums<T> recordedOf(Index batchRow, Index kvBatch, Index begin) {
    return recording_ ? recording_->ofBlock(batchRow, kvBatch, begin) : attention::GroupSums<T>{};
  }
  /// `result`: working memory of outputDim × tokens.
  void projectOutput(linalg::RowPanels<T> weight, linalg::ColumnPanels<const T> attended,
                     linalg::ColumnPanels<T> result, Index batchRow, Index begin);

  Configuration configuration_;
  std::shared_ptr<const PackedWeights<T>> weights_;
  Arguments<T> arguments_;
  std::shared_ptr<const ProjectedContext<T>> projected_;
  bool folded_;
  bool contextWasFinished_;
  std::size_t bytesBefore_;
  Plan plan_{};
  std::shared_ptr<Activations<T>> activations_;
  std::optional<Recording<T>> recording_;
  Tensor<T> output_;
  Projection<T> queryProjection_;
  /// Null if the output has no bias.
  const T* bias_;
  PassStatistics statistics_;
  Schedule schedule_;
};

}  // namespace cross_attention::layer
