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
  /// and values, which the backward pass requires.
  FoldedContext(const Configuration& configuration, const std::vector<Index>& keyCounts, bool transposed);

  /// Adds the work. `weights` contains kRequiredWeights. `keyColumns` and `valueColumns`: queryDim × keys of
  /// each key/value batch, written by earlier stages; the keys are multiplied by the softmax scale and
  /// log2(e).
  void addStage(Schedule& schedule, const PackedWeights<T>& weights,
                std::vector<linalg::ColumnPanels<const T>> keyColumns,
                std::vector<linalg::ColumnPanels<const T>> valueColumns);

  /// Returns the rows from one head to the next.
  Index headStride(Index kvBatch) const { return roundUp(at(kvBatch).keys, linalg::kTileRows<T>); }
  /// heads · headStride × queryDim
  linalg::RowPanels<T> keys(Index kvBatch) const { return rowsOf(keys_, kvBatch); }
  linalg::RowPanels<T> values(Index kvBatch) const { return rowsOf(values_, kvBatch); }
  /// queryDim × heads · headStride
  linalg::RowPanels<T> keysTransposed(Index kvBatch) const { return transposedOf(keysTransposed_, kvBatch); }
  linalg::RowPanels<T> valuesTransposed(Index kvBatch) const {
    return transposedOf(valuesTransposed_, kvBatch);
  }

  bool isTransposed() const { return !values_.empty(); }
  std::size_t bytes() const;

 private:
  struct KvBatch {
    Index keys;
    /// The position in keys_ and values_.
    ByteCount offset;
    /// The position in keysTransposed_ and valuesTransposed_.
    ByteCount transposedOffset;
  };

  const KvBatch& at(Index kvBatch) const { return kvBatches_[static_cast<std::size_t>(kvBatch)]; }
  linalg::RowPanels<T> rowsOf(const Buffer<T>& buffer, Index kvBatch) const;
  linalg::RowPanels<T> transposedOf(const Buffer<T>& buffer, Index kvBatch) const;
  void fold(Index kvBatch, Index head, Index firstChannel, Index channels, linalg::RowPanels<T> weight,
            linalg::ColumnPanels<const T> columns, Buffer<T>& rows, Buffer<T>& transposed, Scratch& scratch);

  Configuration configuration_;
  std::vector<KvBatch> kvBatches_;
  Buffer<T> keys_, valuesTransposed_, keysTransposed_, values_;
};

}  // namespace cross_attention::layer
