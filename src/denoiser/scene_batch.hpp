#pragma once

#include "denoiser/trainer.hpp"

namespace cross_attention::denoiser {

/// The words of the captions of our scenes.
Vocabulary sceneVocabulary();

/// So many training scenes with captions, drawn from `random`. `singles`: the share of them that have one object whatever
/// the rest have; from them shapes are learned before relations are.
template <class T>
Batch<T> sceneBatch(const Denoiser<T>& denoiser, Index size, Random& random, double singles = 0);

}  // namespace cross_attention::denoiser
