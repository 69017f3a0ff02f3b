#pragma once

#include <type_traits>

#include "linalg/panels.hpp"

/// The norm of queries and keys, over the headDim channels of each token of a head.
/// Based on: Ba et al., Layer Normalization (2016); Zhang and Sennrich, Root Mean Square Layer Normalization
/// (2019).
namespace cross_attention::attention {

/// LayerNorm: y = (x - mean) / √(variance + ε) · weight + bias. RMSNorm: y = x / √(mean of x² + ε) · weight.
template <class T>
struct HeadNorm {
  bool isCentered = false;  ///< LayerNorm instead of RMSNorm
  T epsilon = T(0);
  const T* weight = nullptr;  ///< headDim values; null: no norm
  const T* bias = nullptr;    ///< headDim values, or null

  bool exists() const { return weight != nullptr; }
};

/// Normalizes the columns of a matrix headDim × tokens in place. Its columns are contiguous; memory up to the
/// next multiple of kTileColumns is overwritten.
template <class T>
void normalizeHead(const HeadNorm<T>& norm, linalg::MatrixView<T> head);

/// Replaces dL/dy in `gradient` by dL/dx, both headDim × tokens, and adds to the gradients of weight and bias
/// (headDim values each; the second is written for LayerNorm only). `head`: x. The same requirements as
/// normalizeHead.
template <class T>
void normalizeHeadBackward(const HeadNorm<T>& norm, linalg::MatrixView<const T> head,
                           linalg::MatrixView<T> gradient, T* weightGradient, T* biasGradient);

/// Returns one panel as a matrix.
template <class T>
linalg::MatrixView<T> panelMatrix(linalg::ColumnPanels<T> panels, Index panel) {
  constexpr Index kColumns = linalg::kTileColumns<std::remove_const_t<T>>;
  const Index columns = panels.columns - panel * kColumns;
  return {panels.panel(panel), panels.depth, columns < kColumns ? columns : kColumns, kColumns, 1};
}

}  // namespace cross_attention::attention
