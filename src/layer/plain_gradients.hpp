#pragma once

#include "layer/attention_gradients.hpp"
#include "layer/norm_gradients.hpp"

namespace cross_attention::layer {

/// Computes the gradients as the forward pass is written, in stages whose tasks write disjoint memory:
///   blocks of tokens:    x, dOut packed;  q = norm(x·Wqᵀ + bq);  dO = dOut·Wo
///   heads:               attention again from log-sum-exp; dq, O; dk, dv summed over the chunks
///   blocks of tokens:    dx = dq·Wq
///   blocks of channels:  dWq += dqᵀ·x;  dbq += Σ dq;  dWo += dOutᵀ·O;  dbo += Σ dOut
template <class T>
class PlainGradients final : public AttentionGradients<T> {
 public:
  static constexpr PackedWeightSet kRequiredWeights{PackedWeight::kQuery, PackedWeight::kQueryTransposed,
                                                    PackedWeight::kOutputTransposed};

  /// Allocates all memory.
  explicit PlainGradients(const GradientTask<T>& task);

  void addStart(Schedule& schedule) override;
  void addChunk(Schedule& schedule, Index batchRow, Index begin, Index count, bool isFirst) override;
  void addEnd(Schedule& schedule, Index kvBatch) override;

 private:
  Index queryDim() const { return task_.configuration.queryDim; }
  Index innerDim() const { return task_.configuration.innerDim(); }
  Index outputDim() const { return task_.configuration.outputDim(); }
  /// Returns a matrix of innerDim × tokens of a chunk.
  linalg::ColumnPanels<T> chunkPanels(Buffer<T>& buffer, Index tokens) const {
    return linalg::columnPanels(buffer.data(), innerDim(), tokens);
  }
  void projectBlock(Index batchRow, Index chunk, Index begin, Index count);
  void attendHead(Index batchRow, Index chunk, Index count, Index head, Scratch& scratch);
  void inputGradientBlock(Index batchRow, Index chunk, Index begin, Index count);
  void transposeRows(Index tokens, Index firstRow, Index maxRows);
  void queryWeightGradient(Index tokens, Index firstRow, Index rows, Scratch& scratch);
  void outputWeightGradient(Index batchRow, Index begin, Index tokens, Index firstRow, Index rows,
                            Scratch& scratch);

  GradientTask<T> task_;
  Projection<T> queryProjection_;
  // Of the current chunk. queryDim × chunk and outputDim × chunk:
  Buffer<T> input_, outputGradient_;
  // innerDim × chunk; attendedGradient_ also has space for queryDim × chunk:
  Buffer<T> query_, attended_, attendedGradient_, queryGradient_;
  /// The queries before their norm, innerDim × chunk. Empty without a norm.
  Buffer<T> rawQuery_;
  /// The gradients of the norm's weight and bias by head, of the current key/value batch.
  NormGradients<T> normGradients_;
  // Transposed, so that the tokens are the depth of the products that give the weights' gradients:
  Buffer<T> inputTransposed_, attendedTransposed_;
};

}  // namespace cross_attention::layer
