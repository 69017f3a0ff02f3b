#pragma once

#include "core/random.hpp"
#include "core/tensor.hpp"

namespace cross_attention::denoiser {

/// The time, from 0 (noise) to 1 (picture), after so large a share of a sampler's steps. They are short where there is
/// still much noise and the picture is decided, long where only edges get sharper: noise of n becomes
/// 3·n / (1 + 2·n) (Esser et al., 2024, section 5.3.2).
float timeAfter(float share);

/// Standard normal noise of a shape [pictures, ...], the same for all pictures: both of an edit begin, and go on, alike.
Tensor<float> pictureNoise(const Shape& shape, Random& random);

/// `noisy` and `estimate` are [pictures, ...]. From t·x + (1 - t)·noise at `time`, below 1, to the same at `next`: x as
/// estimated, the noise what is left of the picture without it, but for the share eta² of its variance, which is drawn anew
/// (Song et al., 2021, section 4.1). Noise of variance 1 stays so, whatever eta is.
void stepTo(Tensor<float>& noisy, const Tensor<float>& estimate, float time, float next, double eta,
            Random& random);

}  // namespace cross_attention::denoiser
