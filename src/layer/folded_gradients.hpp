#pragma once

#include "layer/attention_gradients.hpp"
#include "layer/folded_context.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

/// Computes the gradients of a pass whose context is folded into the weights: see FoldedContext. With M and G
/// for the folded keys and values of all heads, P the probabilities and dS the gradients of the scores, chunk
/// by chunk
///   blocks of tokens:   P, dS (see foldedBackward);  dx = dS·M
///   blocks of rows:     dM += dSᵀ·x;  dG += Pᵀ·dOut;  dbo += Σ dOut
/// and at the end of a key/value batch, head by head, for M = K·Wq and G = V·Woᵀ:
///   dWq += Kᵀ·dM;  dK = dM·Wqᵀ;  dWo += dGᵀ·V;  dV = dG·Wo
template <class T>
class FoldedGradients final : public AttentionGradients<T> {
 public:
  static constexpr PackedWeightSet kRequiredWeights{PackedWeight::kQueryPerHead,
                                                    PackedWeight::kOutputTransposedPerHead};

  /// Allocates all memory.
  explicit FoldedGradients(const GradientTask<T>& task);

  void addStart(Schedule&) override {}
  /// The first chunk of a key/value batch overwrites the sums, the others add to them.
  void addChunk(Schedule& schedule, Index batchRow, Index begin, Index count, bool isFirst) override;
  void addEnd(Schedule& schedule, Index kvBatch) override;

 private:
  void computeBlock(Index batchRow, Index chunk, Index begin, Index count);
  /// Packs up to `maxChannels` channels of input and output gradient, and sums the output's bias.
  void packTokens(Index batchRow, Index chunk, Index count, Index firstChannel, Index maxChannels);
  void addFoldedGradients(Index kvBatch, Index count, Index firstRow, Index rows, linalg::Start start,
                          Scratch& scratch);
  void unfoldKeys(Index kvBatch, Index head, Scratch& scratch);
  void unfoldValues(Index kvBatch, Index head, Scratch& scratch);

  Index queryDim() const { return task_.configuration.queryDim; }
  Index outputDim() const { return task_.configuration.outputDim(); }
  const ProjectedContext<T>& projected() const { return task_.projected(); }
  const FoldedContext<T>& folded() const { return *projected().folded(); }
  Index rows(Index kvBatch) const { return folded().keys(kvBatch).rows; }
  /// Returns the gradient of one head's folded keys or values: keys × `channels`.
  linalg::ColumnPanels<const T> ofHead(Buffer<T>& gradient, Index channels, Index kvBatch, Index head);

  GradientTask<T> task_;
  // Of the current chunk. queryDim × chunk and outputDim × chunk:
  Buffer<T> input_, outputGradient_;
  // heads · headStride × chunk:
  Buffer<T> probabilities_, scoreGradients_;
  // chunk × queryDim and chunk × outputDim:
  Buffer<T> inputTransposed_, outputGradientTransposed_;
  // Of the current key/value batch, heads · headStride × queryDim and × outputDim:
  Buffer<T> foldedKeyGradient_, foldedValueGradient_;
};

}  // namespace cross_attention::layer
