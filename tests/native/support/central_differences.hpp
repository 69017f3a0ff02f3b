#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/buffer.hpp"
#include "core/tensor.hpp"
#include "support/random_data.hpp"
#include "support/threads.hpp"

/// What the tests of differentiable operators share: a loss Σ weights ∘ output, its gradient by central differences, and
/// the same computation with several numbers of threads.
namespace cross_attention::test {

/// The step h of (L(p + h) - L(p - h)) / 2h. Truncation grows with h², rounding with ε/h: near ε^(1/3) they meet.
inline constexpr double kDifferenceStep = 1e-5;

/// How far such a quotient may be off: truncation is h²/6 · |L‴| (Taylor); each loss is rounded by at most
/// ε · (roundings one after another) · Σ|terms|, of which 4 are taken, for errors of the terms rarely agree in sign.
inline double differenceTolerance(double thirdDerivative, double sumOfMagnitudes) {
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  return kDifferenceStep * kDifferenceStep / 6 * thirdDerivative +
         4 * kEpsilon * sumOfMagnitudes / kDifferenceStep;
}

/// Σ weights ∘ output.
template <class T>
double weightedSum(const Tensor<T>& weights, const Tensor<T>& output) {
  double sum = 0;
  for (Index i = 0; i < output.size(); ++i) sum += weights.data()[i] * output.data()[i];
  return sum;
}
/// Σ |weights ∘ output|
template <class T>
double sumOfMagnitudes(const Tensor<T>& weights, const Tensor<T>& output) {
  double sum = 0;
  for (Index i = 0; i < output.size(); ++i) sum += std::abs(weights.data()[i] * output.data()[i]);
  return sum;
}

inline constexpr Index kSampledElements = 48;

/// Up to `most` of the elements, the first and the last among them; all of them where they are fewer.
inline std::vector<Index> sampledElements(Index size, Index most) {
  std::vector<Index> elements;
  for (Index i = 0; i < std::min(size, most); ++i) {
    elements.push_back(size <= most ? i : i * (size - 1) / (most - 1));
  }
  return elements;
}

/// `gradient` against central differences of `loss` by sampled elements of `values`, which are as before afterwards.
template <class Loss>
void expectCentralDifferences(const std::string& name, std::span<double> values,
                              std::span<const double> gradient, double tolerance, Loss loss,
                              Index most = kSampledElements) {
  ASSERT_EQ(values.size(), gradient.size()) << name;
  for (const Index element : sampledElements(static_cast<Index>(values.size()), most)) {
    const auto i = static_cast<std::size_t>(element);
    const double value = values[i];
    values[i] = value + kDifferenceStep;
    const double above = loss();
    values[i] = value - kDifferenceStep;
    const double below = loss();
    values[i] = value;
    ASSERT_NEAR(gradient[i], (above - below) / (2 * kDifferenceStep), tolerance)
        << name << ", element " << element;
  }
}

template <class T>
std::span<T> elements(Tensor<T>& tensor) {
  return {tensor.data(), static_cast<std::size_t>(tensor.size())};
}
template <class T>
std::span<T> elements(Buffer<T>& buffer) {
  return {buffer.data(), static_cast<std::size_t>(buffer.size())};
}
template <class T>
std::vector<T> copyOf(const Buffer<T>& buffer) {
  return {buffer.begin(), buffer.end()};
}
template <class T>
std::vector<T> copyOf(const Tensor<T>& tensor) {
  return {tensor.begin(), tensor.end()};
}

/// The same numbers in another type.
template <class To, class From>
Tensor<To> converted(const Tensor<From>& tensor) {
  Tensor<To> result(tensor.shape());
  for (Index i = 0; i < tensor.size(); ++i) result.data()[i] = static_cast<To>(tensor.data()[i]);
  return result;
}

/// What compute() returns, a vector of numbers, is the same bits with 1, 2 and 3 threads.
template <class Compute>
void expectSameBitsForAllThreads(Compute compute) {
  const auto alone = compute();
  ASSERT_FALSE(alone.empty());
  for (const int threads : {2, 3}) {
    const ThreadsInScope scope(threads);
    const auto together = compute();
    ASSERT_EQ(together.size(), alone.size());
    EXPECT_EQ(std::memcmp(together.data(), alone.data(), alone.size() * sizeof alone[0]), 0)
        << threads << " threads";
  }
}

}  // namespace cross_attention::test
