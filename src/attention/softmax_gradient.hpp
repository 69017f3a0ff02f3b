#pragma once

#include "linalg/panels.hpp"

/// The way back through softmax, on panels of tokens: see flash_backward and folded_backward.
namespace cross_attention::attention {

/// Per token, Σ over `rows` rows of left ∘ right: of O and dO, or, which is the same, of P and dP.
template <class T>
void sumOfProducts(const T* left, const T* right, Index rows, T* result);

/// Adds the rows of a panel to `sums`, token by token.
template <class T>
void addRows(const T* panel, Index rows, T* sums);

/// gradients (count × kTileColumns): dP → dS = ln2·P ∘ (dP - delta), for P is a power of two.
template <class T>
void toScoreGradients(const T* probabilities, Index count, const T* delta, T* gradients);

}  // namespace cross_attention::attention
