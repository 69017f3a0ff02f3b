#pragma once

#include "layer/activations.hpp"
#include "layer/key_gradients.hpp"
#include "layer/planner.hpp"
#include "layer/projection.hpp"

namespace cross_attention::layer {

/// The inputs and outputs of a backward pass's chunks. They outlive the gradients that refer to them.
template <class T>
struct GradientTask {
  const Configuration& configuration;
  /// The gradients of the parameters are added to.
  Parameters<T>& parameters;
  /// Contains the required weights.
  const PackedWeights<T>& weights;
  const Activations<T>& activations;
  const Tensor<T>& outputGradient;
  /// Overwritten, chunk by chunk.
  Tensor<T>& inputGradient;
  const BackwardPlan& plan;
  /// Of the current key/value batch; overwritten.
  KeyGradients<T>& keyGradients;

  const Arguments<T>& arguments() const { return activations.arguments; }
  const ProjectedContext<T>& projected() const { return *activations.projected; }
  // Return channels × `count` of the tokens from `begin` on.
  linalg::MatrixView<const T> inputTokens(Index batchRow, Index begin, Index count) const {
    return arguments().layout.channelsByTokens(arguments().input.data(), batchRow).columnRange(begin, count);
  }
  linalg::MatrixView<const T> outputGradientTokens(Index batchRow, Index begin, Index count) const {
    return arguments()
        .outputLayout.channelsByTokens(outputGradient.data(), batchRow)
        .columnRange(begin, count);
  }
  linalg::MatrixView<T> inputGradientTokens(Index batchRow, Index begin, Index count) const {
    return arguments().layout.channelsByTokens(inputGradient.data(), batchRow).columnRange(begin, count);
  }
};

/// The part of a backward pass that runs through the tokens, chunk by chunk: the gradients of the input, of
/// Wq, Wo and bo, and those of the keys and values. There are two implementations: PlainGradients and
/// FoldedGradients. Each sum has an order that depends on the shapes alone, so that the bits do not depend on
/// the number of threads.
template <class T>
class AttentionGradients {
 public:
  virtual ~AttentionGradients() = default;

  /// Adds the stages before the chunks of a key/value batch.
  virtual void addStart(Schedule& schedule) = 0;
  /// Adds the stages of the tokens `begin` … `begin + count - 1` of a batch row. `isFirst`: the first chunk
  /// of the key/value batch.
  virtual void addChunk(Schedule& schedule, Index batchRow, Index begin, Index count, bool isFirst) = 0;
  /// Adds the stages after the chunks of a key/value batch. Afterwards the key gradients are complete.
  virtual void addEnd(Schedule& schedule, Index kvBatch) = 0;
};

}  // namespace cross_attention::layer
