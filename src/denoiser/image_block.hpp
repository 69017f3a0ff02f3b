#pragma once

#include "denoiser/attention.hpp"
#include "denoiser/configuration.hpp"
#include "denoiser/feed_forward.hpp"
#include "operators/layer_norm.hpp"
#include "operators/modulation.hpp"

namespace cross_attention::denoiser {

/// Does a block's cross-attention, or its self-attention, in another way than by itself.
template <class T>
class AttentionControl {
 public:
  virtual ~AttentionControl() = default;
  /// `block` numbers the blocks. tokens: [batch, N, features].
  virtual Tensor<T> attendToPicture(Index block, Attention<T>& attention, const Tensor<T>& tokens) = 0;
  virtual Tensor<T> attendToText(Index block, Attention<T>& attention, const Tensor<T>& tokens,
                                 const Tensor<T>& context, const Mask<T>& mask) = 0;
};

/// What the words say to a picture: the encoder's output and which of it is filling.
template <class T>
struct EncodedPrompts {
  Tensor<T> context;  ///< [batch, length, textFeatures]
  Mask<T> mask;
};

/// One block of the denoiser, PixArt-α's (Chen et al., 2023, section 2.3): tokens attend to each other, to the words, and
/// pass a feed-forward network. The time's modulation is one for all blocks, to which each adds its own table.
///   x += gate₁·selfAttention(modulate₁(norm(x))); x += crossAttention(norm(x), words); x += gate₂·feedForward(modulate₂(norm(x)))
template <class T>
class ImageBlock {
 public:
  /// shift₁, scale₁, gate₁, shift₂, scale₂, gate₂
  static constexpr Index kModulations = 6;

  ImageBlock(ParameterSet<T>& parameters, Index number, const Configuration& configuration);

  /// tokens: [batch, N, features]; modulation: [batch, kModulations or more, features].
  Tensor<T> forward(const Tensor<T>& tokens, const EncodedPrompts<T>& prompts, const Tensor<T>& modulation,
                    bool keep, AttentionControl<T>* control);
  /// dL/d(tokens); adds to the gradients of context and modulation.
  Tensor<T> backward(const Tensor<T>& outputGradient, Tensor<T>& contextGradient,
                     Tensor<T>& modulationGradient);

  Attention<T>& crossAttention() { return crossAttention_; }
  Attention<T>& selfAttention() { return selfAttention_; }

 private:
  template <class Work>
  void forTable(Tensor<T>& modulation, Work work) const;

  Index number_;
  operators::LayerNorm<T> selfNorm_;
  operators::Modulate<T> selfModulate_{0};
  Attention<T> selfAttention_;
  operators::GatedSum<T> selfSum_{2};
  operators::LayerNorm<T> crossNorm_;
  Attention<T> crossAttention_;
  operators::LayerNorm<T> feedForwardNorm_;
  operators::Modulate<T> feedForwardModulate_{3};
  FeedForward<T> feedForward_;
  operators::GatedSum<T> feedForwardSum_{5};
  Parameter<T>& table_;  ///< [kModulations, features]
};

}  // namespace cross_attention::denoiser
