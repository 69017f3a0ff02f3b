#pragma once

#include <type_traits>
#include <vector>

#include "core/schedule.hpp"
#include "layer/packed_weights.hpp"

namespace cross_attention::layer {

/// True if the backward pass is folded whenever the forward pass is. Training in float64, which serves to
/// check gradients rather than to be fast, computes gradients as written: both variants would add 5 KB of
/// WebAssembly.
template <class T>
inline constexpr bool kFoldsGradients = std::is_same_v<T, float>;

/// True if the backward pass of this layer is folded whenever the forward pass is. With biases of the
/// projections it is not: they are for inference most of all, and would add code.
template <class T>
bool foldsGradients(const Configuration& configuration) {
  return kFoldsGradients<T> && !configuration.bias;
}

/// The keys and values of a context, multiplied by the weights on the image's side. This is the same product
/// in another order ("absorbed weights"; based on: DeepSeek-AI, DeepSeek-V2 (2024), section 2.1.2):
///   scores of head h = (x·Wq_hᵀ)·K_hᵀ = x·(K_h·Wq_h)ᵀ      output = Σ_h P_h·V_h·Wo_hᵀ = Σ_h P_h·(V_h·Wo_hᵀ)
/// The scores of all heads are then one product with x, and the output is one product with the probabilities
/// of all heads: less work if heads · keys is smaller than the number of channels (see foldsContext). Heads
/// are stored one after another, each padded with zeros to whole row panels.
template <class T>
class FoldedContext {
 public:
  /// The weights that the stage reads.
  static constexpr PackedWeightSet kRequiredWeights{PackedWeight::kQueryTransposed, PackedWeight::kOutput};

  /// Allocates all memory. `keyCounts`: the keys of each key/value batch. `transposed`: also keysTransposed
  /// and values, which the backward pass requires. The layer has no norm of queries and keys.
  FoldedContext(const Configuration& configuration, const std::vector<Index>& keyCounts, bool transposed);

  /// Adds the work. `weights` contains kRequiredWeights. `keyColumns` and `valueColumns`: innerDim × keys of
  /// each key/value batch, written by earlier stages; the keys are multiplied by the softmax scale and
  /// log2(e).
  void addStage(Schedule& schedule, const PackedWeights<T>& weights,
                std::vector<linalg::ColumnPanels<const T>> keyColumns,
                std::vector<linalg::ColumnPanels<const T>> valueColumns);

  /// Returns the rows from one head to the next.
  Index headStride(Index kvBatch) const { return roundUp(at(kvBatch).keys, linalg::kTileRows<T>); }
  /// heads · headStride × queryDim
  linalg::RowPanels<T> keys(Index kvBatch) const { return rowsOf(keys_, kvBatch, queryDim()); }
  /// heads · headStride × outputDim
  linalg::RowPanels<T> values(Index kvBatch) const { return rowsOf(values_, kvBatch, outputDim()); }
  /// queryDim × heads · headStride
  linalg::RowPanels<T> keysTransposed(Index kvBatch) const {
    return transposedOf(keysTransposed_, kvBatch, queryDim());
  }
  /// outputDim × heads · headStride
  linalg::RowPanels<T> valuesTransposed(Index kvBatch) const {
    return transposedOf(valuesTransposed_, kvBatch, outputDim());
  }
  /// Returns K·bq, one value per row of keys, which is added to the scores; null without a bias of the
  /// queries.
  const T* keyBias(Index kvBatch) const {
    return keyBias_.empty() ? nullptr : keyBias_.data() + at(kvBatch).firstRow;
  }

  bool isTransposed() const { return !values_.empty(); }
  std::size_t bytes() const;

 private:
  struct KvBatch {
    Index keys;
    /// Padded rows of all heads of the key/value batches before this one.
    ByteCount firstRow;
  };

  const KvBatch& at(Index kvBatch) const { return kvBatches_[static_cast<std::size_t>(kvBatch)]; }
  Index queryDim() const { return configuration_.queryDim; }
  Index outputDim() const { return configuration_.outputDim(); }
  /// Elements of a matrix of so many `channels` before this key/value batch: of rows, and transposed.
  ByteCount rowsOffset(Index kvBatch, Index channels) const { return at(kvBatch).firstRow * channels; }
  ByteCount transposedOffset(Index kvBatch, Index channels) const {
    return at(kvBatch).firstRow * roundUp(channels, linalg::kTileRows<T>);
  }
  linalg::RowPanels<T> rowsOf(const Buffer<T>& buffer, Index kvBatch, Index channels) const;
  linalg::RowPanels<T> transposedOf(const Buffer<T>& buffer, Index kvBatch, Index channels) const;
  /// The part of one task: `count` of `channels`, from `first` on, of one head.
  struct Part {
    Index kvBatch;
    Index head;
    Index channels;
    Index first;
    Index count;
  };
  void fold(const Part& part, linalg::RowPanels<T> weight, linalg::ColumnPanels<const T> columns,
            Buffer<T>& rows, Buffer<T>& transposed, Scratch& scratch);
  void foldBias(Index kvBatch, Index head, const T* bias, linalg::ColumnPanels<const T> keys);

  Configuration configuration_;
  std::vector<KvBatch> kvBatches_;
  Buffer<T> keys_, valuesTransposed_, keysTransposed_, values_, keyBias_;
};

}  // namespace cross_attention::layer
