#include "layer/parameters.hpp"

#include <algorithm>
#include <cmath>

#include "core/random.hpp"
#include "simd/vector.hpp"

namespace cross_attention::layer {

namespace {

template <class T>
void descend(std::span<T> parameters, std::span<T> allGradients, T learningRate) {
  T* values = parameters.data();
  T* gradients = allGradients.data();
  const auto size = static_cast<Index>(parameters.size());
  const simd::Vector<T> rate = simd::splat(learningRate);
  Index index = 0;
  for (; index + simd::kLanes<T> <= size; index += simd::kLanes<T>) {
    simd::store(values + index, simd::load(values + index) - rate * simd::load(gradients + index));
    simd::store(gradients + index, simd::splat(T(0)));
  }
  for (; index < size; ++index) {
    values[index] -= learningRate * gradients[index];
    gradients[index] = T(0);
  }
}

}  // namespace

ParameterLayout::ParameterLayout(const Configuration& configuration) {
  shapes_.fill(Shape{0});
  const auto set = [this](ParameterId id, const Shape& shape) {
    shapes_[static_cast<std::size_t>(id)] = shape;
  };
  const Index inner = configuration.innerDim();
  set(ParameterId::kQuery, {inner, configuration.queryDim});
  set(ParameterId::kKey, {inner, configuration.contextDim});
  set(ParameterId::kValue, {inner, configuration.contextDim});
  set(ParameterId::kOutput, {configuration.outputDim(), inner});
  if (configuration.outputBias) set(ParameterId::kOutputBias, {configuration.outputDim()});
  if (configuration.bias) {
    for (const auto id : {ParameterId::kQueryBias, ParameterId::kKeyBias, ParameterId::kValueBias}) {
      set(id, {inner});
    }
  }
  if (configuration.hasNorm()) {
    for (const auto id : {ParameterId::kQueryNorm, ParameterId::kKeyNorm}) set(id, {configuration.headDim()});
  }
  if (configuration.queryKeyNorm == QueryKeyNorm::kLayerNorm) {
    for (const auto id : {ParameterId::kQueryNormBias, ParameterId::kKeyNormBias}) {
      set(id, {configuration.headDim()});
    }
  }
  // Checked, so that a sum that does not fit into an Index is an error instead of a small buffer.
  for (std::size_t id = 0; id < shapes_.size(); ++id) {
    offsets_[id] = size_;
    if (shapes_[id].size() > 0) ids_[count_++] = static_cast<ParameterId>(id);
    const std::int64_t total = std::int64_t{size_} + shapes_[id].size();
    size_ = Shape::checked({total}, "size of the parameters").size();
  }
}

std::optional<ParameterId> ParameterLayout::find(std::string_view name) const {
  const auto found = std::find(kParameterNames.begin(), kParameterNames.end(), name);
  if (found == kParameterNames.end()) return std::nullopt;
  const auto id = static_cast<ParameterId>(found - kParameterNames.begin());
  return has(id) ? std::optional(id) : std::nullopt;
}

template <class T>
Parameters<T>::Parameters(const Configuration& configuration) : layout_(configuration), values_(size()) {
  values_.clear();
  Random random(configuration.seed);
  for (const ParameterId id : layout_.ids()) {
    if (id == ParameterId::kQueryNorm || id == ParameterId::kKeyNorm) {
      std::ranges::fill(mutableValues(id), T(1));
    }
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
void Parameters<T>::addBiasGradient(ParameterId bias, linalg::MatrixView<const T> gradient,
                                    Index firstChannel) {
  if (!layout_.has(bias) || !isTrainable(bias)) return;
  T* sums = gradients(bias).data() + firstChannel;
  for (Index channel = 0; channel < gradient.rows; ++channel) {
    T sum = T(0);
    for (Index token = 0; token < gradient.columns; ++token) {
      sum += *gradient.at(channel, token);
    }
    sums[channel] += sum;
  }
}

template <class T>
void Parameters<T>::stepGradientDescent(T learningRate) {
  if (!gradients_.empty()) descend<T>(mutableValues(), {gradients_.data(), gradients().size()}, learningRate);
}

template <class T>
void Parameters<T>::stepGradientDescent(ParameterId id, T learningRate) {
  if (!gradients_.empty()) descend<T>(mutableValues(id), gradients(id), learningRate);
}

template class Parameters<float>;
template class Parameters<double>;

}  // namespace cross_attention::layer
