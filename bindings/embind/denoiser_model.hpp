#pragma once

#include <memory>

#include "denoiser/lora.hpp"

namespace cross_attention::embind {

/// A denoiser as JavaScript references it, with the LoRA that was loaded or is being trained. Shared, because
/// JavaScript deletes objects in any order.
struct DenoiserModel {
  std::shared_ptr<denoiser::Denoiser<float>> denoiser;
  std::shared_ptr<denoiser::Lora> lora;
};

}  // namespace cross_attention::embind
