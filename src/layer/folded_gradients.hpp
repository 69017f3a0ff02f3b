#pragma once

#include "layer/folded_context.hpp"
#include "layer/forward_pass.hpp"
#include "layer/key_gradients.hpp"
#include "layer/planner.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

/// The part of a backward that differs where the context is folded with the weights (see FoldedContext). With M and G for
/// the folded keys and values of all heads, P the probabilities and dS the scores' gradients, chunk by chunk
///   blocks of tokens:   P, dS (see foldedBackward);  dx = dS·M
///   blocks of rows:     dM += dSᵀ·x;  dG += Pᵀ·dOut;  dbo += Σ dOut
/// and once a set of keys is complete, head by head, for M = K·Wq and G = V·Woᵀ:
///   dWq += Kᵀ·dM;  dK = dM·Wqᵀ;  dWo += dGᵀ·V;  dV = dG·Wo
template <class T>
class FoldedGradients {
 public:
  /// What a backward has and wants. All of it outlives this.
  struct Task {
    const Configuration& configuration;
    Parameters<T>& parameters;        ///< its gradients are added to
    const PackedWeights<T>& weights;  ///< kQueryOfHeads and kOutputTransposedOfHeads are taken
    const Activations<T>& activations;
    const Tensor<T>& outputGradient;
    Tensor<T>& inputGradient;
    const BackwardPlan& plan;
    KeyGradients<T>& keyGradients;  ///< of the set at work, overwritten
  };

  /// Allocates.
  explicit FoldedGradients(const Task& task);

  /// The first chunk of a set starts its sums.
  void addChunk(Schedule& schedule, Index batchRow, Index begin, Index count, bool isFirst);
  void addSetEnd(Schedule& schedule, Index set);

 private:
  void computeBlock(Index batchRow, Index chunk, Index begin, Index count);
  void packTokens(Index batchRow, Index chunk, Index count, Index firstChannel, Index channels);
  void addFoldedGradients(Index set, Index count, Index firstRow, Index rows, linalg::Start start,
                          Scratch& scratch);
  void unfoldKeys(Index set, Index head, Scratch& scratch);
  void unfoldValues(Index set, Index head, Scratch& scratch);

  Index queryDim() const { return task_.configuration.queryDim; }
  const ProjectedContext<T>& projected() const { return *task_.activations.projected; }
  const FoldedContext<T>& folded() const { return *projected().folded(); }
  Index rows(Index set) const { return folded().keys(set).rows; }
  linalg::MatrixView<const T> tokens(const Tensor<T>& tensor, Index batchRow, Index begin,
                                     Index count) const;
  /// The gradient of one head's folded keys or values: keys × queryDim.
  linalg::ColumnPanels<const T> ofHead(Buffer<T>& gradient, Index set, Index head);

  Task task_;
  // Of the chunk at work:
  Buffer<T> input_, outputGradient_;                      ///< queryDim × chunk
  Buffer<T> probabilities_, scoreGradients_;              ///< heads · headStride × chunk
  Buffer<T> inputTransposed_, outputGradientTransposed_;  ///< chunk × queryDim
  // Of the set of keys at work:
  Buffer<T> foldedKeyGradient_, foldedValueGradient_;  ///< heads · headStride × queryDim
};

}  // namespace cross_attention::layer
