#include "operators/adam.hpp"

#include <cmath>

#include "core/error.hpp"
#include "layer/adam.hpp"
#include "operators/rows.hpp"

namespace cross_attention::operators {

namespace {

template <class T>
double squaredNorm(const ParameterSet<T>& parameters) {
  double sum = 0;
  for (const Parameter<T>& parameter : parameters) {
    if (!parameter.trainable) continue;
    const T* gradient = parameter.gradient.data();
    sum += static_cast<double>(
        sumOver<T>(parameter.shape.size(), [=](Index i) { return gradient[i] * gradient[i]; }));
  }
  return sum;
}

}  // namespace

template <class T>
Adam<T>::Adam(ParameterSet<T>& parameters, const AdamOptions& options)
    : parameters_(parameters), options_(options) {
  for (const Parameter<T>& parameter : parameters) {
    if (!parameter.trainable) {
      states_.emplace_back();
      continue;
    }
    State state{Buffer<T>(parameter.shape.size()), Buffer<T>(parameter.shape.size()),
                Buffer<T>(parameter.shape.size())};
    state.mean.clear();
    state.square.clear();
    std::copy(parameter.values.begin(), parameter.values.end(), state.ema.begin());
    states_.push_back(std::move(state));
  }
}

/// Entries that were added after construction have no moments.
template <class T>
void Adam<T>::requireSameSizes() const {
  std::size_t index = 0;
  for (const Parameter<T>& parameter : parameters_) {
    const Index size = index < states_.size() ? states_[index].ema.size() : 0;
    ++index;
    if (size != parameter.values.size() && (size != 0 || parameter.trainable)) {
      failArgument({"parameter '", parameter.name, "' has ", parameter.values.size(), " values; expected ",
                    size, ", as when this optimizer was created"});
    }
  }
}

template <class T>
double Adam<T>::update(double learningRate) {
  requireSameSizes();
  const double norm = std::sqrt(squaredNorm(parameters_));
  const double maxNorm = options_.maxGradientNorm;
  ++step_;
  const double step = static_cast<double>(step_);
  const auto shrink = static_cast<T>(maxNorm > 0 && norm > maxNorm ? maxNorm / norm : 1);
  const auto beta1 = static_cast<T>(options_.beta1);
  const auto beta2 = static_cast<T>(options_.beta2);
  const auto rule = layer::adamRule<T>(learningRate, options_.beta1, options_.beta2, options_.epsilon, step);
  const auto decay = static_cast<T>(std::min(options_.emaDecay, (1 + step) / (10 + step)));
  std::size_t index = 0;
  for (Parameter<T>& parameter : parameters_) {
    State& state = states_[index++];
    if (state.mean.empty()) continue;
    T* values = parameter.values.data();
    T* gradient = parameter.gradient.data();
    T* mean = state.mean.data();
    T* square = state.square.data();
    T* ema = state.ema.data();
    forRowBlocks(parameter.shape.size(), kElementsPerTask, [=](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        const T scaled = gradient[i] * shrink;
        mean[i] += (T(1) - beta1) * (scaled - mean[i]);
        square[i] += (T(1) - beta2) * (scaled * scaled - square[i]);
        values[i] -= rule.step(mean[i], square[i]);
        ema[i] += (T(1) - decay) * (values[i] - ema[i]);
        gradient[i] = T(0);
      }
    });
  }
  parameters_.touch();
  return norm;
}

template <class T>
void Adam<T>::swapEma() {
  requireSameSizes();
  std::size_t index = 0;
  for (Parameter<T>& parameter : parameters_) {
    State& state = states_[index++];
    if (!state.mean.empty()) std::swap(parameter.values, state.ema);
  }
  parameters_.touch();
}

template class Adam<float>;
template class Adam<double>;

}  // namespace cross_attention::operators
