#include "layer/adam_optimizer.hpp"

#include <algorithm>
#include <limits>

#include "core/schedule.hpp"
#include "layer/adam.hpp"
#include "simd/vector.hpp"

namespace cross_attention::layer {

namespace {

/// A task takes tens of microseconds. A multiple of any vector.
constexpr Index kElementsPerTask = 16384;

/// The factors of a step, for V: T or a vector of T.
template <class V>
struct Update {
  AdamRule<V> rule;
  V beta1, share1, beta2, share2, decay;

  /// The averages are sums of two products, as in PyTorch, because m + (1 - β)·(g - m) is zero or NaN after
  /// gradients that are too large: g² = 10²⁰ after β₂ = 0, or g² = infinity.
  void operator()(V& value, V gradient, V& mean, V& square) const {
    mean = beta1 * mean + share1 * gradient;
    square = beta2 * square + share2 * gradient * gradient;
    value = value - (rule.step(mean, square) + decay * value);
  }
};

template <class T>
Update<T> updateOf(const AdamStep& step) {
  const auto cast = [](double value) { return static_cast<T>(value); };
  // Without gradients, zero is divided by zero if ε is 0 or rounds to it. A parameter must not become NaN.
  const double epsilon = std::max(step.epsilon, static_cast<double>(std::numeric_limits<T>::min()));
  // 1 - β is rounded once: in float, 1 - 0.999f has an error of 1.3e-5.
  return {adamRule<T>(step.learningRate, step.beta1, step.beta2, epsilon, step.step),
          cast(step.beta1),
          cast(1 - step.beta1),
          cast(step.beta2),
          cast(1 - step.beta2),
          cast(step.learningRate * step.weightDecay)};
}

template <class T>
Update<simd::Vector<T>> splat(const Update<T>& update) {
  const auto all = [](T value) { return simd::splat(value); };
  const AdamRule<T>& rule = update.rule;
  return {{all(rule.rate), all(rule.squareFactor), all(rule.epsilon)},
          all(update.beta1),
          all(update.share1),
          all(update.beta2),
          all(update.share2),
          all(update.decay)};
}

template <class T>
struct Arrays {
  T* values;
  const T* gradients;
  T* mean;
  T* square;
  Index size;
};

template <class T>
void updateRange(const AdamStep& step, const Arrays<T>& arrays, Index begin, Index end) {
  const Update<T> update = updateOf<T>(step);
  const Update<simd::Vector<T>> updateVector = splat(update);
  const auto [values, gradients, mean, square, size] = arrays;
  Index index = begin;
  for (; index + simd::kLanes<T> <= end; index += simd::kLanes<T>) {
    simd::Vector<T> value = simd::load(values + index);
    simd::Vector<T> newMean = simd::load(mean + index);
    simd::Vector<T> newSquare = simd::load(square + index);
    updateVector(value, simd::load(gradients + index), newMean, newSquare);
    simd::store(values + index, value);
    simd::store(mean + index, newMean);
    simd::store(square + index, newSquare);
  }
  for (; index < end; ++index) update(values[index], gradients[index], mean[index], square[index]);
}

}  // namespace

template <class T>
void AdamOptimizer<T>::add(const Parameters<T>& parameters, ParameterId id) {
  const ByteCount size = parameters.shape(id).size();
  Moments moments{id, Buffer<T>(size), Buffer<T>(size)};
  moments.mean.clear();
  moments.square.clear();
  moments_.push_back(std::move(moments));
}

template <class T>
void AdamOptimizer<T>::update(Parameters<T>& parameters, const AdamStep& step) {
  parameters.requireGradients();
  // One stage for all parameters: all memory is allocated before the first of them changes.
  Schedule schedule(Workspace::shared());
  for (Moments& moments : moments_) {
    const Arrays<T> arrays{parameters.mutableValues(moments.id).data(),
                           parameters.gradients(moments.id).data(), moments.mean.data(),
                           moments.square.data(), moments.mean.size()};
    schedule.add(ceilDivide(arrays.size, kElementsPerTask), 0, [step, arrays](Index task, Scratch&) {
      const Index begin = task * kElementsPerTask;
      updateRange(step, arrays, begin, std::min(begin + kElementsPerTask, arrays.size));
    });
  }
  schedule.run();
  parameters.clearGradients();
}

template class AdamOptimizer<float>;
template class AdamOptimizer<double>;

}  // namespace cross_attention::layer
