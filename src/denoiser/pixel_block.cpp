#include "denoiser/pixel_block.hpp"

#include "denoiser/sums.hpp"

namespace cross_attention::denoiser {

template <class T>
PixelBlock<T>::PixelBlock(operators::ParameterSet<T>& parameters, const std::string& name,
                          Index side, Index features, Index hiddenFeatures)
    : feedForward_(parameters, name + ".ff", features, hiddenFeatures, side) {}

template <class T>
Tensor<T> PixelBlock<T>::forward(const Tensor<T>& pixels, bool keep) {
  return sum(pixels, feedForward_.forward(norm_.forward(pixels, keep), keep));
}

template <class T>
Tensor<T> PixelBlock<T>::backward(const Tensor<T>& outputGradient) {
  return sum(outputGradient, norm_.backward(feedForward_.backward(outputGradient)));
}

template class PixelBlock<float>;
template class PixelBlock<double>;

}  // namespace cross_attention::denoiser
