#pragma once

#include <memory>

#include "denoiser/lora.hpp"

namespace cross_attention::embind {

/// A denoiser as JavaScript holds it, with the low-rank updates that were loaded or are being learned.
struct DenoiserModel {
  std::unique_ptr<denoiser::Denoiser<float>> denoiser;
  std::unique_ptr<denoiser::Lora> lora;
};

}  // namespace cross_attention::embind
