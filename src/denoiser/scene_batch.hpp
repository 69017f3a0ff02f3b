#pragma once

#include "denoiser/trainer.hpp"

namespace cross_attention::denoiser {

/// The words of the captions of our scenes.
Vocabulary sceneVocabulary();

/// So many training scenes with captions, drawn from `random`.
template <class T>
Batch<T> sceneBatch(const Denoiser<T>& denoiser, Index size, Random& random);

}  // namespace cross_attention::denoiser
