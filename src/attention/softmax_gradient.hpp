#pragma once

#include "linalg/panels.hpp"

/// The backward pass of softmax, on panels of tokens: see flash_backward and folded_backward.
namespace cross_attention::attention {

/// Computes, per token, Σ over `rows` rows of left ∘ right: of O and dO or, equivalently, of P and dP.
template <class T>
void sumOfProducts(const T* left, const T* right, Index rows, T* result);

/// Adds the rows of a panel to `sums`, token by token.
template <class T>
void addRows(const T* panel, Index rows, T* sums);

/// Replaces dP in `gradients` (count × kTileColumns) by dS = ln2·P ∘ (dP - delta). The factor ln2 comes from
/// the base-two scores.
template <class T>
void toScoreGradients(const T* probabilities, Index count, const T* delta, T* gradients);

}  // namespace cross_attention::attention
