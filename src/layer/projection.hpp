#pragma once

#include "attention/head_norm.hpp"
#include "layer/parameters.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

/// What follows the product with Wq or Wk: the bias and the norm, if the layer has them. Refers to the
/// parameters.
template <class T>
struct Projection {
  /// innerDim values, or null.
  const T* bias;
  attention::HeadNorm<T> norm;

  static Projection ofQuery(const Configuration& configuration, const Parameters<T>& parameters);
  static Projection ofKey(const Configuration& configuration, const Parameters<T>& parameters);
  static Projection ofValue(const Parameters<T>& parameters);

  /// Returns how a product of the channels from `firstChannel` on starts.
  linalg::Start start() const { return bias == nullptr ? linalg::Start::kZero : linalg::Start::kBias; }
  const T* biasFrom(Index firstChannel) const { return bias == nullptr ? nullptr : bias + firstChannel; }
};

/// Computes the queries of a block of tokens, innerDim × tokens, without their norm.
template <class T>
void projectQuery(const Projection<T>& projection, linalg::RowPanels<T> weight,
                  linalg::ColumnPanels<const T> input, linalg::ColumnPanels<T> query) {
  linalg::multiply<T>(weight, input, query, projection.start(), projection.bias);
}

/// Normalizes the queries of all heads, innerDim × tokens. Does nothing without a norm.
template <class T>
void normalizeQuery(const Projection<T>& projection, Index headDim, linalg::ColumnPanels<T> query);

}  // namespace cross_attention::layer
