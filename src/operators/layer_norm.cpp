#include "operators/layer_norm.hpp"

#include <cmath>

#include "operators/rows.hpp"

namespace cross_attention::operators {

namespace {

constexpr double kEpsilon = 1e-6;

}  // namespace

template <class T>
Tensor<T> LayerNorm<T>::forward(const Tensor<T>& input, bool saveForBackward) {
  const Index features = featuresOf(input);
  const Index rows = rowsOf(input);
  Tensor<T> output(input.shape());
  Buffer<T> inverseDeviation(rows);
  const T* x = input.data();
  T* y = output.data();
  T* inverse = inverseDeviation.data();
  forRowBlocks(rows, rowsPerBlock(features), [=](Index begin, Index end) {
    const T count = static_cast<T>(features);
    for (Index row = begin; row < end; ++row) {
      const T* from = x + row * features;
      T* to = y + row * features;
      const T mean = sumOver<T>(features, [=](Index i) { return from[i]; }) / count;
      const T variance = sumOver<T>(features, [=](Index i) { return (from[i] - mean) * (from[i] - mean); });
      const T factor = T(1) / std::sqrt(variance / count + static_cast<T>(kEpsilon));
      for (Index i = 0; i < features; ++i) to[i] = (from[i] - mean) * factor;
      inverse[row] = factor;
    }
  });
  output_ = saveForBackward ? output : Tensor<T>();
  inverseDeviation_ = saveForBackward ? std::move(inverseDeviation) : Buffer<T>();
  return output;
}

/// dx = (dy - mean(dy) - y·mean(dy·y)) / √(variance + ε)
template <class T>
Tensor<T> LayerNorm<T>::backward(const Tensor<T>& outputGradient) {
  const Index features = featuresOf(output_);
  Tensor<T> gradient(output_.shape());
  const T* y = output_.data();
  const T* dy = outputGradient.data();
  const T* inverse = inverseDeviation_.data();
  T* dx = gradient.data();
  forRowBlocks(rowsOf(output_), rowsPerBlock(features), [=](Index begin, Index end) {
    const T count = static_cast<T>(features);
    for (Index row = begin; row < end; ++row) {
      const T* value = y + row * features;
      const T* from = dy + row * features;
      T* to = dx + row * features;
      const T mean = sumOver<T>(features, [=](Index i) { return from[i]; }) / count;
      const T projection = sumOver<T>(features, [=](Index i) { return from[i] * value[i]; }) / count;
      for (Index i = 0; i < features; ++i) to[i] = (from[i] - mean - value[i] * projection) * inverse[row];
    }
  });
  return gradient;
}

template class LayerNorm<float>;
template class LayerNorm<double>;

}  // namespace cross_attention::operators
