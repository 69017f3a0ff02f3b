#pragma once

#include <deque>

#include "denoiser/attention.hpp"
#include "denoiser/configuration.hpp"
#include "denoiser/feed_forward.hpp"
#include "denoiser/prompts.hpp"
#include "operators/embedding.hpp"
#include "operators/layer_norm.hpp"

namespace cross_attention::denoiser {

/// One block of the text encoder, with the norms before its branches (Xiong et al., "On layer normalization in the
/// transformer architecture", 2020): x += attention(norm(x)); x += feedForward(norm(x)).
template <class T>
class TextBlock {
 public:
  TextBlock(ParameterSet<T>& parameters, const std::string& name, const Configuration& configuration);

  Tensor<T> forward(const Tensor<T>& words, const Mask<T>& mask, bool keep);
  Tensor<T> backward(const Tensor<T>& outputGradient);

 private:
  operators::LayerNorm<T> attentionNorm_;
  Attention<T> attention_;
  operators::LayerNorm<T> feedForwardNorm_;
  FeedForward<T> feedForward_;
};

/// Words into what the picture attends to: learned embeddings of words and places, a few blocks in which words attend to
/// themselves and those before them – "circle" must know that it is red –, and a norm. Not to those after them, as in CLIP's
/// text encoder (Radford et al., 2021, section 2.4): what a shape's word says is then said there alone, and the picture has
/// to look at that word for it. Filling comes last, so that no word attends to it.
template <class T>
class TextEncoder {
 public:
  TextEncoder(ParameterSet<T>& parameters, const Configuration& configuration, Index entries);

  /// → [batch, length, textFeatures]
  Tensor<T> forward(const Prompts& prompts, bool keep);
  void backward(const Tensor<T>& outputGradient);

  operators::Embedding<T>& embedding() { return embedding_; }

 private:
  operators::Embedding<T> embedding_;
  std::deque<TextBlock<T>> blocks_;
  operators::LayerNorm<T> norm_;
};

}  // namespace cross_attention::denoiser
