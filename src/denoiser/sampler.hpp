#pragma once

#include <optional>

#include "core/random.hpp"
#include "denoiser/sampler_attention.hpp"

namespace cross_attention::denoiser {

/// "Keep the picture of this prompt and change what differs."
struct EditOptions {
  std::string from;
  std::vector<double> wordWeights;  ///< of `from`; see SamplerOptions
  double crossSteps = 0.8;          ///< see AttentionEdit
  double selfSteps = 0.5;
  /// Pixels that no changed word looks at, there or in the tokens around, stay those of the first picture, once kKeepFrom of
  /// the steps are done.
  bool keepElsewhere = true;
};

struct SamplerOptions {
  std::string prompt;
  std::uint64_t seed = 0;
  Index steps = 20;
  /// Classifier-free guidance (Ho and Salimans, 2022): empty + guidance·(prompt - empty). 1: none.
  double guidance = 3;
  /// How much of the noise is drawn anew in each step, 0 to 1: the eta of DDIM (Song et al., 2021, section 4.1). 0 is
  /// Euler's method along the velocity; new noise lets later steps mend what earlier ones got wrong (Karras et al., 2022,
  /// section 4).
  double eta = 0.5;
  /// One a word of the prompt; empty: all 1. See SamplerAttention.
  std::vector<double> wordWeights;
  std::optional<EditOptions> edit;
  bool maps = true;  ///< whether heat maps are collected
};

/// Draws a picture: steps along the velocity that a denoiser estimates (Lipman et al., 2023), from noise at t = 0 to the
/// picture at t = 1, with some new noise in each. An edit draws two pictures at a time, the kept one and the changed one.
/// The denoiser must live as long, and keep its parameters.
class Sampler {
 public:
  /// Throws kArgument, naming what is wrong.
  Sampler(Denoiser<float>& denoiser, const SamplerOptions& options);

  Index step() const { return step_; }
  Index steps() const { return options_.steps; }
  /// One step; false, and nothing done, where all are. Throws kArgument once the denoiser has changed.
  bool advance();
  /// [3, size, size] in [-1, 1]: the present estimate of the clean picture, of the edited prompt if there is one.
  std::vector<float> picture() const;
  /// [words, tokens] of the prompt: how much each place of the picture has attended to each word. See
  /// SamplerAttention::maps. Throws kArgument for a block or head that is not there.
  std::vector<float> maps(Index block, Index head) const;

 private:
  Index lastPrompt() const { return prompts_ - 1; }
  Tensor<float> guidedEstimate(float time);
  void keepElsewhere();
  std::vector<float> changedPlaces() const;

  Denoiser<float>& denoiser_;
  SamplerOptions options_;
  std::vector<std::vector<std::int32_t>> ids_;  ///< of the prompts, the edited one last
  Index prompts_;
  std::vector<std::vector<double>> weights_;  ///< one a token of each prompt
  std::vector<Index> places_;                 ///< alignWords; empty without an edit
  std::uint64_t version_;
  Random random_;
  std::unique_ptr<SamplerAttention> attention_;
  Tensor<float> noisy_;     ///< [prompts, 3, size, size]
  Tensor<float> estimate_;  ///< the same
  Index step_ = 0;
};

}  // namespace cross_attention::denoiser
