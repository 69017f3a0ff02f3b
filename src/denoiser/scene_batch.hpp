#pragma once

#include "denoiser/trainer.hpp"

namespace cross_attention::denoiser {

/// The words of the captions of our scenes.
Vocabulary sceneVocabulary();

/// What is learned from more often than it comes by chance: shares of the scenes, together at most 1.
struct SceneShares {
  /// Have one object: shapes are learned before relations are.
  double singles = 0;
  /// Are two objects, one inside the other: the rarest relation, and the hardest to draw.
  double insides = 0;
};

/// So many training scenes with captions, drawn from `random`; the scenes beyond the shares are of all kinds.
template <class T>
Batch<T> sceneBatch(const Denoiser<T>& denoiser, Index size, Random& random, const SceneShares& shares = {});

}  // namespace cross_attention::denoiser
