#pragma once

#include <deque>

#include "denoiser/denoiser.hpp"

namespace cross_attention::denoiser {

/// Low-rank updates (Hu et al., 2021) of to_q, to_k, to_v and to_out of all attentions to words and to the picture itself.
/// While it lives the denoiser computes with them. One a denoiser at a time.
class Lora {
 public:
  /// New ones, which change nothing yet: B is zero. Throws kArgument for a rank below 1 or above kMostRank.
  static constexpr Index kMostRank = 64;
  Lora(Denoiser<float>& denoiser, Index rank, std::uint64_t seed);
  ~Lora();
  Lora(const Lora&) = delete;
  Lora& operator=(const Lora&) = delete;

  Index rank() const { return rank_; }
  /// Of all updates together: 1 as they were learned, 0 none.
  double scale() const { return scale_; }
  void setScale(double scale);

  /// For each attention and weight `name`.lora_A.weight and `name`.lora_B.weight, as PEFT and diffusers name them.
  ParameterSet<float>& parameters() { return parameters_; }
  Denoiser<float>& denoiser() { return denoiser_; }

  /// The words that it brought, which their learner or file has added to the vocabulary.
  std::vector<std::string> words;

 private:
  Denoiser<float>& denoiser_;
  Index rank_;
  double scale_ = 1;
  ParameterSet<float> parameters_;
  std::deque<Attention<float>::Updates> updates_;  ///< one an attention
};

}  // namespace cross_attention::denoiser
