#pragma once

#include <memory>
#include <optional>

#include "layer/attention_gradients.hpp"
#include "layer/context_gradients.hpp"
#include "layer/prepared_context.hpp"

namespace cross_attention::layer {

/// The backward pass of one training forward pass. Batch rows and chunks of tokens follow one another: the
/// stages of AttentionGradients for each chunk, and those of ContextGradients at the end of each key/value
/// batch.
template <class T>
class BackwardPass {
 public:
  /// Allocates all memory, so that run cannot run out of it. run adds to the gradients of `parameters`, which
  /// are those of `inputs`.
  BackwardPass(const PassInputs<T>& inputs, Parameters<T>& parameters, const Activations<T>& activations,
               const Tensor<T>& outputGradient);

  void run() { schedule_.run(); }

  const Tensor<T>& inputGradient() const { return inputGradient_; }
  /// Has the context's shape; nothing for self-attention.
  const std::optional<Tensor<T>>& contextGradient() const { return contextGradient_; }
  /// The sizes of the pass. The caller adds time and memory.
  PassStatistics& statistics() { return statistics_; }
  std::size_t bytesBefore() const { return bytesBefore_; }

 private:
  bool isFolded() const { return projected_.folded() != nullptr && foldsGradients<T>(configuration_); }
  std::unique_ptr<AttentionGradients<T>> makeAttentionGradients(const PassInputs<T>& inputs,
                                                                Parameters<T>& parameters,
                                                                const Activations<T>& activations);
  void addStages();
  /// Returns the FLOPs of the schedule.
  double flops() const;

  std::size_t bytesBefore_ = memory::bytesInUse();
  Configuration configuration_;
  std::shared_ptr<PackedWeights<T>> weights_;
  const TokenLayout& layout_;
  const ProjectedContext<T>& projected_;
  Tensor<T> outputGradient_;
  BackwardPlan plan_;
  Tensor<T> inputGradient_;
  std::optional<Tensor<T>> contextGradient_;
  KeyGradients<T> keyGradients_;
  std::unique_ptr<AttentionGradients<T>> attentionGradients_;
  ContextGradients<T> contextGradients_;
  PassStatistics statistics_;
  Schedule schedule_;
};

}  // namespace cross_attention::layer
