#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "denoiser/trainer.hpp"

namespace cross_attention::denoiser {

/// A safetensors file of the parameters under their names, as `dtype` ("F32", "F16"); configuration and vocabulary in its
/// metadata.
std::vector<std::byte> saveDenoiser(Denoiser<float>& denoiser, const std::string& dtype);
/// Throws kWeights, naming what is wrong, for a file that is no such model, or that lacks a parameter.
std::unique_ptr<Denoiser<float>> loadDenoiser(std::span<const std::byte> file);

/// All that training needs to go on: parameters, Adam's moments and the averages, as F32, and the number of the step.
std::vector<std::byte> saveCheckpoint(Denoiser<float>& denoiser, Trainer<float>& trainer);
/// Into a trainer of a denoiser of the same configuration. Throws kWeights where it is another one's; then nothing has
/// changed.
void loadCheckpoint(std::span<const std::byte> file, Denoiser<float>& denoiser, Trainer<float>& trainer);

}  // namespace cross_attention::denoiser
