#pragma once

#include <span>

#include "denoiser/configuration.hpp"
#include "scenes/scene.hpp"

namespace cross_attention::denoiser {

/// What a token of a scene's picture is to know of it half-way through the blocks: whether an object lies there (±1), and of
/// that object its shape (2 for it, 0 for the others), where its centre lies from the token's, right and down, and its
/// radius. A model finds that out by itself in the end; told so, it learns from a fraction of the pictures, as Yu et al.,
/// "Representation alignment for generation" (2024), let a diffusion transformer's tokens be like those of another model.
inline constexpr Index kPlaceValues = 1 + scenes::kShapeKinds + 3;

/// values: [tokens, kPlaceValues]; NaN where nothing is to be known, beyond the first value of tokens without an object.
/// Of several objects the smallest counts: it lies upon the others.
template <class T>
void describePlaces(const scenes::Scene& scene, const Configuration& configuration, std::span<T> values);

}  // namespace cross_attention::denoiser
