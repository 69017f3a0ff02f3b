#include "denoiser/feed_forward.hpp"

namespace cross_attention::denoiser {

template <class T>
FeedForward<T>::FeedForward(operators::ParameterSet<T>& parameters, const std::string& name, Index features,
                            Index hiddenFeatures, Index gridSide)
    : in_(parameters, name + ".in", features, hiddenFeatures),
      out_(parameters, name + ".out", hiddenFeatures, features) {
  if (gridSide > 0) mix_.emplace(parameters, name + ".mix", gridSide, hiddenFeatures);
}

template <class T>
Tensor<T> FeedForward<T>::forward(const Tensor<T>& input, bool keep) {
  Tensor<T> hidden = in_.forward(input, keep);
  if (mix_) hidden = mix_->forward(hidden, keep);
  return out_.forward(gelu_.forward(hidden, keep), keep);
}

template <class T>
Tensor<T> FeedForward<T>::backward(const Tensor<T>& outputGradient) {
  Tensor<T> hidden = gelu_.backward(out_.backward(outputGradient));
  if (mix_) hidden = mix_->backward(hidden);
  return in_.backward(hidden);
}

template class FeedForward<float>;
template class FeedForward<double>;

}  // namespace cross_attention::denoiser
