#include "operators/activation.hpp"

#include <numbers>

#include "operators/rows.hpp"
#include "simd/exponential.hpp"

namespace cross_attention::operators {

namespace {

using simd::kLanes;
using simd::splat;
using simd::Vector;

/// √(8/π): twice the factor inside tanh, because tanh(a) = 2·sigmoid(2a) - 1.
constexpr double kGeluFactor = 1.5957691216057308;
constexpr double kGeluCubic = 0.044715;

/// Computes 1 / (1 + 2^(-a·log2(e))). The exponent is clamped to ±100, beyond which the result is 0 or 1 up
/// to rounding.
template <class T>
Vector<T> sigmoid(Vector<T> a, const simd::PowerOfTwo<T>& power) {
  const Vector<T> exponent = a * splat(static_cast<T>(-std::numbers::log2e));
  const Vector<T> bounded = -simd::maximum(-exponent, splat(T(-100)));
  return splat(T(1)) / (splat(T(1)) + power(bounded));
}

/// Applies `work` to all vectors of the elements. Copies the last partial vector through buffers.
template <class T, class Work>
void forVectors(Index size, const T* first, const T* second, T* result, Work work) {
  forRowBlocks(size, kElementsPerTask, [=](Index begin, Index end) {
    const simd::PowerOfTwo<T> power;
    Index i = begin;
    for (; i + kLanes<T> <= end; i += kLanes<T>) {
      simd::store(result + i, work(simd::load(first + i), simd::load(second + i), power));
    }
    if (i == end) return;
    std::array<T, kLanes<T>> a{}, b{}, c{};
    std::copy(first + i, first + end, a.data());
    std::copy(second + i, second + end, b.data());
    simd::store(c.data(), work(simd::load(a.data()), simd::load(b.data()), power));
    std::copy(c.data(), c.data() + (end - i), result + i);
  });
}

}  // namespace

template <class V>
V Silu::gate(V x) {
  return x;
}
template <class V>
V Silu::gateDerivative(V) {
  using T = typename V::value_type;
  return splat(T(1));
}

template <class V>
V Gelu::gate(V x) {
  using T = typename V::value_type;
  const V cubic = splat(static_cast<T>(kGeluFactor * kGeluCubic));
  return x * (splat(static_cast<T>(kGeluFactor)) + cubic * x * x);
}
template <class V>
V Gelu::gateDerivative(V x) {
  using T = typename V::value_type;
  const V cubic = splat(static_cast<T>(3 * kGeluFactor * kGeluCubic));
  return splat(static_cast<T>(kGeluFactor)) + cubic * x * x;
}

template <class T, class Kind>
Tensor<T> Activation<T, Kind>::forward(const Tensor<T>& input, bool saveForBackward) {
  Tensor<T> output(input.shape());
  const T* x = input.data();
  forVectors(input.size(), x, x, output.data(),
             [](Vector<T> value, Vector<T>, const simd::PowerOfTwo<T>& power) {
               return value * sigmoid<T>(Kind::gate(value), power);
             });
  input_ = saveForBackward ? input : Tensor<T>();
  return output;
}

/// With s = sigmoid(g(x)): dy/dx = s + x·s·(1 - s)·g'(x).
template <class T, class Kind>
Tensor<T> Activation<T, Kind>::backward(const Tensor<T>& outputGradient) {
  Tensor<T> gradient(input_.shape());
  forVectors(input_.size(), static_cast<const T*>(input_.data()), outputGradient.data(), gradient.data(),
             [](Vector<T> x, Vector<T> dy, const simd::PowerOfTwo<T>& power) {
               const Vector<T> s = sigmoid<T>(Kind::gate(x), power);
               const Vector<T> inner = x * (splat(T(1)) - s) * Kind::gateDerivative(x);
               return dy * s * (splat(T(1)) + inner);
             });
  return gradient;
}

template class Activation<float, Silu>;
template class Activation<double, Silu>;
template class Activation<float, Gelu>;
template class Activation<double, Gelu>;

}  // namespace cross_attention::operators
