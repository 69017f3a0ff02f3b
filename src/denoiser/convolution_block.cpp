#include "denoiser/convolution_block.hpp"

#include "operators/add.hpp"

namespace cross_attention::denoiser {

using operators::add;
using operators::addTo;
using operators::Initial;

template <class T>
ConvolutionBlock<T>::ConvolutionBlock(ParameterSet<T>& parameters, const std::string& name, Index side,
                                      Index features, Index timeFeatures)
    : in_(parameters, name + ".in", side, features, features),
      modulation_(parameters, name + ".modulation", timeFeatures, 2 * features, Initial::zero()),
      // Zero: every block begins as the identity.
      out_(parameters, name + ".out", side, features, features, Initial::zero()) {}

template <class T>
Tensor<T> ConvolutionBlock<T>::forward(const Tensor<T>& pixels, const Tensor<T>& time, bool keep) {
  Tensor<T> hidden = in_.forward(inSilu_.forward(inNorm_.forward(pixels, keep), keep), keep);
  const Tensor<T> modulation = modulation_.forward(time, keep).reshaped({time.shape()[0], 2, -1});
  hidden = modulate_.forward(outNorm_.forward(hidden, keep), modulation, keep);
  return add(pixels, out_.forward(outSilu_.forward(hidden, keep), keep));
}

template <class T>
Tensor<T> ConvolutionBlock<T>::backward(const Tensor<T>& outputGradient, Tensor<T>& timeGradient) {
  const Index batch = outputGradient.shape()[0];
  const Index features = outputGradient.shape()[2];
  Tensor<T> modulationGradient = Tensor<T>::zeros(Shape{batch, 2, features});
  Tensor<T> hidden = outSilu_.backward(out_.backward(outputGradient));
  hidden = outNorm_.backward(modulate_.backward(hidden, modulationGradient));
  addTo(timeGradient, modulation_.backward(modulationGradient.reshaped({batch, 1, -1})));
  return add(outputGradient, inNorm_.backward(inSilu_.backward(in_.backward(hidden))));
}

template class ConvolutionBlock<float>;
template class ConvolutionBlock<double>;

}  // namespace cross_attention::denoiser
