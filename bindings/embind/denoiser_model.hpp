#pragma once

#include <memory>

#include "denoiser/lora.hpp"

namespace cross_attention::embind {

/// A denoiser as JavaScript holds it, with the low-rank updates that were loaded or are being learned. Shared with what
/// refers to it: JavaScript deletes in any order what it has forgotten.
struct DenoiserModel {
  std::shared_ptr<denoiser::Denoiser<float>> denoiser;
  std::shared_ptr<denoiser::Lora> lora;
};

}  // namespace cross_attention::embind
