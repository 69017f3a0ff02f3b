#include "operators/depthwise_convolution.hpp"

#include "operators/rows.hpp"
#include "operators/window.hpp"

namespace cross_attention::operators {

namespace {

/// Features per task: their values for all tokens fit in the first-level cache.
constexpr Index kFeaturesPerTask = 64;

/// Calls work(tap, token, neighbour) for each of the nine taps and each token whose neighbour lies on the
/// grid.
template <class Work>
void forNeighbours(Index side, Work work) {
  for (Index tap = 0; tap < kWidth * kWidth; ++tap) {
    const Index down = tap / kWidth - kReach;
    const Index right = tap % kWidth - kReach;
    for (Index row = std::max<Index>(0, -down); row < std::min(side, side - down); ++row) {
      for (Index column = std::max<Index>(0, -right); column < std::min(side, side - right); ++column) {
        work(tap, row * side + column, (row + down) * side + column + right);
      }
    }
  }
}

enum class Direction { kForward, kBackward };

/// Computes, forward, y[token] = Σ w[tap]·x[neighbour] and, backward, y[neighbour] = Σ w[tap]·x[token], which
/// is dx of dy.
template <class T>
Tensor<T> convolve(const Tensor<T>& input, const T* weights, Index side, Direction direction) {
  const Index features = featuresOf(input);
  const Index picture = side * side * features;
  Tensor<T> output = Tensor<T>::zeros(input.shape());
  const T* x = input.data();
  T* y = output.data();
  const Index blocks = ceilDivide(features, kFeaturesPerTask);
  forRowBlocks(input.shape()[0] * blocks, 1, [=](Index task, Index) {
    const Index row = task / blocks;
    const Index begin = task % blocks * kFeaturesPerTask;
    const Index end = std::min(begin + kFeaturesPerTask, features);
    forNeighbours(side, [=](Index tap, Index token, Index neighbour) {
      const bool isForward = direction == Direction::kForward;
      const T* __restrict weight = weights + tap * features;
      const T* __restrict from = x + row * picture + (isForward ? neighbour : token) * features;
      T* __restrict to = y + row * picture + (isForward ? token : neighbour) * features;
      for (Index i = begin; i < end; ++i) to[i] += weight[i] * from[i];
    });
  });
  return output;
}

}  // namespace

template <class T>
DepthwiseConvolution<T>::DepthwiseConvolution(ParameterSet<T>& parameters, const std::string& name,
                                              Index side, Index features)
    : side_(side), weight_(parameters.add(name + ".weight", {kWidth, kWidth, features}, Initial::zero())) {
  T* middle = weight_.values.data() + kWidth * kWidth / 2 * features;
  std::fill(middle, middle + features, T(1));
}

template <class T>
Tensor<T> DepthwiseConvolution<T>::forward(const Tensor<T>& input, bool saveForBackward) {
  input_ = saveForBackward ? input : Tensor<T>();
  return convolve<T>(input, weight_.values.data(), side_, Direction::kForward);
}

template <class T>
Tensor<T> DepthwiseConvolution<T>::backward(const Tensor<T>& outputGradient) {
  if (weight_.trainable) addWeightGradient(outputGradient);
  return convolve<T>(outputGradient, weight_.values.data(), side_, Direction::kBackward);
}

/// Computes dw[tap] += Σ dy[token]·x[neighbour]. Each task computes a range of features, so that the order of
/// summation does not depend on threads.
template <class T>
void DepthwiseConvolution<T>::addWeightGradient(const Tensor<T>& outputGradient) {
  const Index features = featuresOf(outputGradient);
  const Index batch = outputGradient.shape()[0];
  const Index side = side_;
  const Index picture = side * side * features;
  const T* x = input_.data();
  const T* dy = outputGradient.data();
  T* gradient = weight_.gradient.data();
  forRowBlocks(features, kFeaturesPerTask, [=](Index begin, Index end) {
    for (Index row = 0; row < batch; ++row) {
      forNeighbours(side, [=](Index tap, Index token, Index neighbour) {
        T* __restrict sum = gradient + tap * features;
        const T* __restrict gradientRow = dy + row * picture + token * features;
        const T* __restrict value = x + row * picture + neighbour * features;
        for (Index i = begin; i < end; ++i) sum[i] += gradientRow[i] * value[i];
      });
    }
  });
}

template class DepthwiseConvolution<float>;
template class DepthwiseConvolution<double>;

}  // namespace cross_attention::operators
