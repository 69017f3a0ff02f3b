#include "denoiser/feed_forward.hpp"

namespace cross_attention::denoiser {

template <class T>
FeedForward<T>::FeedForward(operators::ParameterSet<T>& parameters, const std::string& name,
                            Index features, Index hiddenFeatures)
    : in_(parameters, name + ".in", features, hiddenFeatures),
      out_(parameters, name + ".out", hiddenFeatures, features) {}

template class FeedForward<float>;
template class FeedForward<double>;

}  // namespace cross_attention::denoiser
