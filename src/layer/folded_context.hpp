#pragma once

#include <type_traits>

#include "core/schedule.hpp"
#include "layer/packed_weights.hpp"

namespace cross_attention::layer {

/// Whether the way back is folded, too, where the forward is. For float64, which is trained in to check gradients rather
/// than for speed, it goes as written: both ways would be 5 KB of WebAssembly.
template <class T>
inline constexpr bool kFoldsGradients = std::is_same_v<T, float>;

/// A context's keys and values multiplied with the weights on the image's side of them, which is the same product in
/// another order of brackets:
///   scores of head h = (x·Wq_hᵀ)·K_hᵀ = x·(K_h·Wq_h)ᵀ      output = Σ_h P_h·V_h·Wo_hᵀ = Σ_h P_h·(V_h·Wo_hᵀ)
/// So all heads' scores are one product with x, and the output is one product with all heads' probabilities: less work
/// where heads · keys is smaller than the channels (see foldsContext). Heads lie one after another, each filled up with
/// zeros to whole row panels.
template <class T>
class FoldedContext {
 public:
  /// `keyCounts`: keys of each set. `transposed`: also keysTransposed and values, which the way back needs. Allocates.
  FoldedContext(const Configuration& configuration, const std::vector<Index>& keyCounts,
                bool transposed);

  /// The work. `keyColumns`, `valueColumns`: for each set queryDim × keys, the keys multiplied by the softmax scale
  /// and log2(e); written by earlier stages. Takes kQueryTransposed and kOutput of `weights`.
  void addStage(Schedule& schedule, const PackedWeights<T>& weights,
                std::vector<linalg::ColumnPanels<const T>> keyColumns,
                std::vector<linalg::ColumnPanels<const T>> valueColumns);

  /// Rows from one head to the next.
  Index headStride(Index set) const { return roundUp(at(set).keys, linalg::kTileRows<T>); }
  /// heads · headStride × queryDim
  linalg::RowPanels<T> keys(Index set) const { return rowsOf(keys_, set); }
  linalg::RowPanels<T> values(Index set) const { return rowsOf(values_, set); }
  /// queryDim × heads · headStride
  linalg::RowPanels<T> keysTransposed(Index set) const {
    return transposedOf(keysTransposed_, set);
  }
  linalg::RowPanels<T> valuesTransposed(Index set) const {
    return transposedOf(valuesTransposed_, set);
  }

  bool isTransposed() const { return !values_.empty(); }
  std::size_t bytes() const;

 private:
  struct Set {
    Index keys;
    ByteCount offset;            ///< in keys_ and values_
    ByteCount transposedOffset;  ///< in keysTransposed_ and valuesTransposed_
  };

  const Set& at(Index set) const { return sets_[static_cast<std::size_t>(set)]; }
  linalg::RowPanels<T> rowsOf(const Buffer<T>& buffer, Index set) const;
  linalg::RowPanels<T> transposedOf(const Buffer<T>& buffer, Index set) const;
  void fold(Index set, Index head, Index firstChannel, Index channels, linalg::RowPanels<T> weight,
            linalg::ColumnPanels<const T> columns, Buffer<T>& rows, Buffer<T>& transposed,
            Scratch& scratch);

  Configuration configuration_;
  std::vector<Set> sets_;
  Buffer<T> keys_, valuesTransposed_, keysTransposed_, values_;
};

}  // namespace cross_attention::layer
