#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "denoiser/lora.hpp"

namespace cross_attention::denoiser {

/// A safetensors file (F32) of the updates under their names, and of each word that it brought its embedding, as
/// text.embedding.words.`word` [textFeatures].
std::vector<std::byte> saveLora(Lora& lora);

/// The updates of such a file for a denoiser that has none; words that are new are added to its vocabulary, known ones get
/// the file's embedding. Throws kWeights, naming the tensor, where the file does not fit; then nothing has changed.
std::unique_ptr<Lora> loadLora(std::span<const std::byte> file, Denoiser<float>& denoiser);

}  // namespace cross_attention::denoiser
