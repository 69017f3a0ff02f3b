#include "layer/parameters.hpp"

#include <algorithm>
#include <cmath>

#include "core/random.hpp"
#include "simd/vector.hpp"

namespace cross_attention::layer {

std::optional<ParameterId> findParameter(std::string_view name) {
  const auto found = std::find(kParameterNames.begin(), kParameterNames.end(), name);
  if (found == kParameterNames.end()) return std::nullopt;
  return static_cast<ParameterId>(found - kParameterNames.begin());
}

ParameterLayout::ParameterLayout(const Configuration& configuration)
    : shapes_{Shape{configuration.queryDim, configuration.queryDim},
              Shape{configuration.queryDim, configuration.contextDim},
              Shape{configuration.queryDim, configuration.contextDim},
              Shape{configuration.queryDim, configuration.queryDim}, Shape{configuration.queryDim}} {
  // Checked, so that a sum that does not fit into an Index is an error instead of a small buffer.
  for (std::size_t id = 0; id < shapes_.size(); ++id) {
    offsets_[id] = size_;
    const std::int64_t total = std::int64_t{size_} + shapes_[id].size();
    size_ = Shape::checked({total}, "size of the parameters").size();
  }
}

template <class T>
Parameters<T>::Parameters(const Configuration& configuration) : layout_(configuration), values_(size()) {
  values_.clear();
  Random random(configuration.seed);
  for (Index index = 0; index < kParameterCount; ++index) {
    const auto id = static_cast<ParameterId>(index);
    if (shape(id).rank() != 2) continue;
    const double bound = std::sqrt(6.0 / static_cast<double>(shape(id)[0] + shape(id)[1]));
    for (T& value : mutableValues(id)) {
      value = static_cast<T>(bound * (2.0 * random.uniform() - 1.0));
    }
  }
}

template <class T>
void Parameters<T>::requireGradients() {
  if (!gradients_.empty()) return;
  gradients_ = Buffer<T>(size());
  gradients_.clear();
}

template <class T>
void Parameters<T>::addBiasGradient(linalg::MatrixView<const T> outputGradient, Index firstChannel) {
  T* bias = gradients(ParameterId::kOutputBias).data() + firstChannel;
  for (Index channel = 0; channel < outputGradient.rows; ++channel) {
    T sum = T(0);
    for (Index token = 0; token < outputGradient.columns; ++token) {
      sum += *outputGradient.at(channel, token);
    }
    bias[channel] += sum;
  }
}

template <class T>
void Parameters<T>::stepGradientDescent(T learningRate) {
  if (gradients_.empty()) return;
  T* values = values_.data();
  T* gradients = gradients_.data();
  const simd::Vector<T> rate = simd::splat(learningRate);
  Index index = 0;
  for (; index + simd::kLanes<T> <= size(); index += simd::kLanes<T>) {
    simd::store(values + index, simd::load(values + index) - rate * simd::load(gradients + index));
    simd::store(gradients + index, simd::splat(T(0)));
  }
  for (; index < size(); ++index) {
    values[index] -= learningRate * gradients[index];
    gradients[index] = T(0);
  }
}

template class Parameters<float>;
template class Parameters<double>;

}  // namespace cross_attention::layer
