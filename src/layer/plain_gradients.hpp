#pragma once

#include "layer/attention_gradients.hpp"

namespace cross_attention::layer {

/// Computes the gradients as the forward pass is written, in stages whose tasks write disjoint memory:
///   blocks of tokens:    x, dOut packed;  q = x·Wqᵀ;  dO = dOut·Wo
///   heads:               attention again from log-sum-exp; dq, O; dk, dv summed over the chunks
///   blocks of tokens:    dx = dq·Wq
///   blocks of channels:  dWq += dqᵀ·x;  dWo += dOutᵀ·O;  dbo += Σ dOut
template <class T>
class PlainGradients final : public AttentionGradients<T> {
 public:
  static constexpr PackedWeightSet kRequiredWeights{PackedWeight::kQuery, PackedWeight::kQueryTransposed,
                                                    PackedWeight::kOutputTransposed};

  /// Allocates all memory.
  explicit PlainGradients(const GradientTask<T>& task);

  void addStart(Schedule& schedule) override;
  void addChunk(Schedule& schedule, Index batchRow, Index begin, Index count, bool isFirst) override;
  void addEnd(Schedule&, Index) override {}

 private:
  Index queryDim() const { return task_.configuration.queryDim; }
  /// Returns a matrix of queryDim × tokens of a chunk.
  linalg::ColumnPanels<T> chunkPanels(Buffer<T>& buffer, Index tokens) const {
    return linalg::columnPanels(buffer.data(), queryDim(), tokens);
  }
  void projectBlock(Index batchRow, Index chunk, Index begin, Index count);
  void attendHead(Index batchRow, Index chunk, Index count, Index head, Scratch& scratch);
  void inputGradientBlock(Index batchRow, Index chunk, Index begin, Index count);
  void transposeRows(Index tokens, Index firstRow, Index rows);
  void weightGradientRows(Index tokens, Index firstRow, Index rows, Scratch& scratch);

  GradientTask<T> task_;
  // Of the current chunk, queryDim × chunk:
  Buffer<T> input_, outputGradient_, query_, attended_, attendedGradient_, queryGradient_;
  // Transposed, so that the tokens are the depth of the products that give the weights' gradients:
  Buffer<T> inputTransposed_, attendedTransposed_;
};

}  // namespace cross_attention::layer
