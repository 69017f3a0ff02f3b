#include "denoiser/text_encoder.hpp"

#include <limits>

#include "core/text.hpp"
#include "operators/add.hpp"

namespace cross_attention::denoiser {

using operators::add;

namespace {

/// [1, 1, length, length], added to the scores: each word sees itself and those before it.
template <class T>
Mask<T> causalMask(Index length) {
  Tensor<T> mask(Shape{1, 1, length, length});
  for (Index i = 0; i < mask.size(); ++i) {
    mask.data()[i] = i % length > i / length ? -std::numeric_limits<T>::infinity() : T(0);
  }
  return Mask<T>::from(mask);
}

}  // namespace

template <class T>
TextBlock<T>::TextBlock(ParameterSet<T>& parameters, const std::string& name,
                        const Configuration& configuration)
    : attention_(parameters, name + ".attn1", configuration.textFeatures, configuration.textFeatures,
                 configuration.textHeads),
      feedForward_(parameters, name + ".ff", configuration.textFeatures,
                   configuration.expansion * configuration.textFeatures) {}

template <class T>
Tensor<T> TextBlock<T>::forward(const Tensor<T>& words, const Mask<T>& mask, bool keep) {
  const Tensor<T> attended =
      add(words, attention_.forward(attentionNorm_.forward(words, keep), nullptr, mask, keep));
  return add(attended, feedForward_.forward(feedForwardNorm_.forward(attended, keep), keep));
}

template <class T>
Tensor<T> TextBlock<T>::backward(const Tensor<T>& outputGradient) {
  const Tensor<T> gradient =
      add(outputGradient, feedForwardNorm_.backward(feedForward_.backward(outputGradient)));
  return add(gradient, attentionNorm_.backward(attention_.backward(gradient, nullptr)));
}

template <class T>
TextEncoder<T>::TextEncoder(ParameterSet<T>& parameters, const Configuration& configuration, Index entries)
    : embedding_(parameters, "text.embedding", entries, configuration.maxWords, configuration.textFeatures) {
  for (Index block = 0; block < configuration.textBlocks; ++block) {
    blocks_.emplace_back(parameters, text({"text.blocks.", block}), configuration);
  }
}

template <class T>
Tensor<T> TextEncoder<T>::forward(const Prompts& prompts, bool keep) {
  const Mask<T> mask = causalMask<T>(prompts.length);
  Tensor<T> words = embedding_.forward(prompts.ids, prompts.length, keep);
  for (TextBlock<T>& block : blocks_) words = block.forward(words, mask, keep);
  return norm_.forward(words, keep);
}

template <class T>
void TextEncoder<T>::backward(const Tensor<T>& outputGradient) {
  Tensor<T> gradient = norm_.backward(outputGradient);
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    gradient = block->backward(gradient);
  }
  embedding_.backward(gradient);
}

template class TextBlock<float>;
template class TextBlock<double>;
template class TextEncoder<float>;
template class TextEncoder<double>;

}  // namespace cross_attention::denoiser
