#pragma once

#include <deque>
#include <span>

#include "denoiser/convolution_block.hpp"
#include "denoiser/image_block.hpp"
#include "denoiser/text_encoder.hpp"
#include "operators/activation.hpp"
#include "operators/linear.hpp"

namespace cross_attention::denoiser {

/// A text-conditional diffusion transformer (Peebles and Xie, 2023) on patches of pixels within a small U-Net (Ho et al.,
/// 2020): on the way down blocks of convolutions and then two by two pixels become one of four times the features
/// (nothing is lost), on the way up the same the other way round, with a path around the transformer: edges are the same
/// wherever they lie in a patch. Given a noisy picture z = t·x + (1 - t)·noise and words, it estimates the clean picture x (Li and He, "Back to basics: let denoising
/// generative models denoise", 2025): of a flat picture it is easier to say what it is than how the noise went.
/// Forward and backward of all operators stand side by side in operators/; attention is DiffusionCrossAttention.
/// Not to be used by two threads at once.
template <class T>
class Denoiser {
 public:
  /// Random parameters by `seed`. Throws kArgument where such a model cannot be.
  Denoiser(const Configuration& configuration, Vocabulary vocabulary, std::uint64_t seed);
  Denoiser(const Denoiser&) = delete;
  Denoiser& operator=(const Denoiser&) = delete;

  const Configuration& configuration() const { return configuration_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  ParameterSet<T>& parameters() { return parameters_; }

  /// What the prompts say, once for all steps of sampling. `keep`: for a backward.
  EncodedPrompts<T> encode(const Prompts& prompts, bool keep);

  /// noisy: [batch, 3, imageSize, imageSize]; times: one a batch row, 0 (noise) to 1 (clean). → the clean pictures.
  Tensor<T> forward(const Tensor<T>& noisy, std::span<const T> times, const EncodedPrompts<T>& prompts,
                    bool keep, AttentionControl<T>* control = nullptr);
  /// Adds to the gradients of all parameters that are trainable, those of the text encoder among them, and were when the
  /// last forward and encode were kept. `middleGradient`: of middleTokens, unless it is empty.
  void backward(const Tensor<T>& outputGradient, const Tensor<T>& middleGradient = Tensor<T>());
  /// [batch, tokens, features] half-way through the blocks of the last forward that was kept.
  const Tensor<T>& middleTokens() const { return middleTokens_; }

  /// A word more, with the embedding of the word `like`. Throws kArgument where it is known or `like` is not.
  std::int32_t addWord(const std::string& word, const std::string& like);
  TextEncoder<T>& textEncoder() { return textEncoder_; }
  /// Of all blocks, the cross-attentions and then the self-attentions.
  std::vector<Attention<T>*> attentions();
  ImageBlock<T>& block(Index number) { return blocks_[static_cast<std::size_t>(number)]; }

 private:
  /// Pictures of one resolution.
  struct Level {
    std::deque<ConvolutionBlock<T>> before, after;  ///< the transformer
  };

  bool learnsBeforeTokens() const;
  void backwardBeforeTokens(const Tensor<T>& tokenGradient, Tensor<T>& pixelGradient,
                            Tensor<T>& timeGradient);
  /// The block after which tokens are half-way.
  Index middleBlock() const { return configuration_.blocks / 2; }

  Configuration configuration_;
  Vocabulary vocabulary_;
  ParameterSet<T> parameters_;
  TextEncoder<T> textEncoder_;
  operators::Convolution<T> pixelsIn_;
  std::deque<Level> levels_;  ///< from the pixels on
  operators::Linear<T> patchIn_;
  Parameter<T>& positions_;  ///< [tokens, features]
  operators::Linear<T> timeIn_;
  operators::Activation<T, operators::Silu> timeSilu_;
  operators::Linear<T> timeOut_;
  operators::Activation<T, operators::Silu> modulationSilu_;
  operators::Linear<T> modulation_;
  std::deque<ImageBlock<T>> blocks_;
  operators::LayerNorm<T> outNorm_;
  operators::Modulate<T> outModulate_{ImageBlock<T>::kModulations};
  operators::Linear<T> patchOut_;
  operators::LayerNorm<T> pixelNorm_;
  operators::Activation<T, operators::Silu> pixelSilu_;
  operators::Convolution<T> pixelsOut_;
  Tensor<T> middleTokens_;
  Shape contextShape_;       ///< of the last forward
  bool keptBefore_ = false;  ///< before the tokens, too: the last forward that was kept
};

}  // namespace cross_attention::denoiser
