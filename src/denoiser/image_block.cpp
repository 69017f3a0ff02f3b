#include "denoiser/image_block.hpp"

#include "core/text.hpp"
#include "operators/add.hpp"

namespace cross_attention::denoiser {

using operators::add;
using operators::addTo;

namespace {

std::string nameOf(Index number) { return text({"transformer_blocks.", number}); }

}  // namespace

template <class T>
ImageBlock<T>::ImageBlock(ParameterSet<T>& parameters, Index number, const Configuration& configuration)
    : number_(number),
      selfAttention_(parameters, nameOf(number) + ".attn1", configuration.features, configuration.features,
                     configuration.numHeads),
      crossAttention_(parameters, nameOf(number) + ".attn2", configuration.features,
                      configuration.textFeatures, configuration.numHeads),
      feedForward_(parameters, nameOf(number) + ".ff", configuration.features,
                   configuration.expansion * configuration.features, configuration.tokensAcross()),
      table_(parameters.add(nameOf(number) + ".scale_shift_table", {kModulations, configuration.features},
                            operators::Initial::zero())) {}

/// Calls work(value, entry of the table) for the values of every batch row that the table has a part in.
template <class T>
template <class Work>
void ImageBlock<T>::forTable(Tensor<T>& modulation, Work work) const {
  const Index stride = modulation.size() / modulation.shape()[0];
  for (Index row = 0; row < modulation.shape()[0]; ++row) {
    for (Index entry = 0; entry < table_.shape.size(); ++entry) {
      work(modulation.data()[row * stride + entry], entry);
    }
  }
}

template <class T>
Tensor<T> ImageBlock<T>::forward(const Tensor<T>& tokens, const EncodedPrompts<T>& prompts,
                                 const Tensor<T>& timeModulation, bool keep, AttentionControl<T>* control) {
  Tensor<T> modulation = timeModulation.clone();
  forTable(modulation, [this](T& value, Index entry) { value += table_.values[entry]; });

  const Tensor<T> own = selfModulate_.forward(selfNorm_.forward(tokens, keep), modulation, keep);
  const Tensor<T> fromPicture = control != nullptr ? control->attendToPicture(number_, selfAttention_, own)
                                                   : selfAttention_.forward(own, nullptr, {}, keep);
  Tensor<T> state = selfSum_.forward(tokens, fromPicture, modulation, keep);

  const Tensor<T> asking = crossNorm_.forward(state, keep);
  const Tensor<T> fromText =
      control != nullptr
          ? control->attendToText(number_, crossAttention_, asking, prompts.context, prompts.mask)
          : crossAttention_.forward(asking, &prompts.context, prompts.mask, keep);
  state = add(state, fromText);

  const Tensor<T> input =
      feedForwardModulate_.forward(feedForwardNorm_.forward(state, keep), modulation, keep);
  return feedForwardSum_.forward(state, feedForward_.forward(input, keep), modulation, keep);
}

template <class T>
Tensor<T> ImageBlock<T>::backward(const Tensor<T>& outputGradient, Tensor<T>& contextGradient,
                                  Tensor<T>& timeModulationGradient) {
  Tensor<T> modulationGradient = Tensor<T>::zeros(timeModulationGradient.shape());

  Tensor<T> branch = feedForward_.backward(feedForwardSum_.backward(outputGradient, modulationGradient));
  branch = feedForwardNorm_.backward(feedForwardModulate_.backward(branch, modulationGradient));
  Tensor<T> gradient = add(outputGradient, branch);

  addTo(gradient, crossNorm_.backward(crossAttention_.backward(gradient, &contextGradient)));

  branch = selfAttention_.backward(selfSum_.backward(gradient, modulationGradient), nullptr);
  addTo(gradient, selfNorm_.backward(selfModulate_.backward(branch, modulationGradient)));

  addTo(timeModulationGradient, modulationGradient);
  if (table_.trainable) {
    forTable(modulationGradient, [this](T& slope, Index entry) { table_.gradient[entry] += slope; });
  }
  return gradient;
}

template class ImageBlock<float>;
template class ImageBlock<double>;

}  // namespace cross_attention::denoiser
