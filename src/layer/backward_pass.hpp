#pragma once

#include <optional>

#include "layer/folded_gradients.hpp"
#include "layer/forward_pass.hpp"

namespace cross_attention::layer {

/// The way back of one training forward. Batch rows and chunks of tokens are taken one after another, and each chunk in
/// stages whose tasks share nothing that they write:
///   blocks of tokens:    x, dOut packed;  q = x·Wqᵀ;  dO = dOut·Wo
///   heads:               attention again from log-sum-exp; dq, O; dk, dv summed over the chunks
///   blocks of tokens:    dx = dq·Wq
///   blocks of channels:  dWq += dqᵀ·x;  dWo += dOutᵀ·O;  dbo += Σ dOut
/// (or, where the context is folded with the weights and kFoldsGradients, those of FoldedGradients) and once a set of
/// keys is complete: dWk += dkᵀ·c;  dWv += dvᵀ·c;  dc = dk·Wk + dv·Wv.
/// Every sum runs in an order that the shapes alone decide: the bits do not depend on the number of threads.
template <class T>
class BackwardPass {
 public:
  /// Allocates everything; run changes `parameters`' gradients and cannot fail for lack of memory any more.
  BackwardPass(const Configuration& configuration, Parameters<T>& parameters,
               std::shared_ptr<PackedWeights<T>> weights, std::shared_ptr<Workspace> workspace,
               const Activations<T>& activations, const Tensor<T>& outputGradient);

  void run() { schedule_.run(); }

  const Tensor<T>& inputGradient() const { return inputGradient_; }
  /// Of the context's shape; none for self-attention.
  const std::optional<Tensor<T>>& contextGradient() const { return contextGradient_; }
  /// What the pass is to do. How it went is the caller's to add.
  PassStatistics& statistics() { return statistics_; }
  std::size_t bytesBefore() const { return bytesBefore_; }

 private:
  /// One matrix of queryDim × chunk, in column panels.
  linalg::ColumnPanels<T> chunkPanels(Buffer<T>& buffer, Index tokens) const {
    return linalg::columnPanels(buffer.data(), configuration_.queryDim, tokens);
  }

  /// Floating-point operations that the schedule does.
  double flops() const;
  void allocateChunk();
  void addSetStart();
  /// The first chunk of a set starts its sums.
  void addChunk(Index batchRow, Index begin, Index count, bool isFirst);
  void addSet(Index set);

  void projectBlock(Index batchRow, Index chunk, Index begin, Index count);
  void attendHead(Index batchRow, Index chunk, Index count, Index head, Scratch& scratch);
  void inputGradientBlock(Index batchRow, Index chunk, Index begin, Index count);
  void transposeRows(Index tokens, Index firstRow, Index rows);
  void weightGradientRows(Index tokens, Index firstRow, Index rows, Scratch& scratch);
  void contextWeightGradientRows(Index set, Index firstRow, Index rows, Scratch& scratch);
  void contextGradientRows(Index set, Index firstKey, Index keys, Scratch& scratch);

  std::size_t bytesBefore_ = memory::bytesInUse();
  Configuration configuration_;
  Parameters<T>& parameters_;
  std::shared_ptr<const PackedWeights<T>> weights_;
  const Activations<T>& activations_;
  const Arguments<T>& arguments_;
  const ProjectedContext<T>& projected_;
  Tensor<T> outputGradient_;
  bool folded_;
  BackwardPlan plan_;
  Tensor<T> inputGradient_;
  std::optional<Tensor<T>> contextGradient_;

  // Of the chunk at work, queryDim × chunk:
  Buffer<T> input_, outputGradientPanels_, query_, attended_, attendedGradient_, queryGradient_;
  /// The same transposed, tokens being the depth, for the weights' gradients.
  Buffer<T> inputTransposed_, attendedTransposed_;
  // Of the set of keys at work:
  KeyGradients<T> keyGradients_;
  /// Context, Wk and Wv as right operands of the products at the end of a set.
  Buffer<T> contextPanels_, keyWeightPanels_, valueWeightPanels_;
  bool weightsArePacked_ = false;  ///< by a stage of the schedule

  std::optional<FoldedGradients<T>> foldedGradients_;
  PassStatistics statistics_;
  Schedule schedule_;
};

}  // namespace cross_attention::layer
