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

/// Helpers for tests of differentiable operators: a loss Σ weights ∘ output, its gradient by central
/// differences, and a comparison of results across numbers of threads.
namespace cross_attention::test {

/// The step h of (L(p + h) - L(p - h)) / 2h. Truncation grows with h², rounding with ε/h; they are equal near
/// ε^(1/3).
inline constexpr double kDifferenceStep = 1e-5;

/// Returns the allowed error of such a quotient. Truncation is h²/6 · |L‴| (Taylor). Rounding changes each
/// loss by at most ε · (number of successive roundings) · Σ|terms|; 4 roundings are counted because the
/// errors of the terms rarely have the same sign.
inline double differenceTolerance(double thirdDerivative, double sumOfMagnitudes) {
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  return kDifferenceStep * kDifferenceStep / 6 * thirdDerivative +
         4 * kEpsilon * sumOfMagnitudes / kDifferenceStep;
}

/// Returns Σ weights ∘ output.
template <class T>
double weightedSum(const Tensor<T>& weights, const Tensor<T>& output) {
  double sum = 0;
  for (Index i = 0; i < output.size(); ++i) sum += weights.data()[i] * output.data()[i];
  return sum;
}
/// Returns Σ |weights ∘ output|.
template <class T>
double sumOfMagnitudes(const Tensor<T>& weights, const Tensor<T>& output) {
  double sum = 0;
  for (Index i = 0; i < output.size(); ++i) sum += std::abs(weights.data()[i] * output.data()[i]);
  return sum;
}

inline constexpr Index kSampledElements = 48;

/// Returns the indices of at most `maxElements` elements, including the first and the last. Returns all
/// indices if there are fewer.
inline std::vector<Index> sampledElements(Index size, Index maxElements) {
  std::vector<Index> elements;
  for (Index i = 0; i < std::min(size, maxElements); ++i) {
    elements.push_back(size <= maxElements ? i : i * (size - 1) / (maxElements - 1));
  }
  return elements;
}

/// Expects `gradient` to match central differences of `loss` with respect to sampled elements of `values`.
/// Restores `values` afterwards.
template <class Loss>
void expectCentralDifferences(const std::string& name, std::span<double> values,
                              std::span<const double> gradient, double tolerance, Loss loss,
                              Index maxElements = kSampledElements) {
  ASSERT_EQ(values.size(), gradient.size()) << name;
  for (const Index element : sampledElements(static_cast<Index>(values.size()), maxElements)) {
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

/// Returns the same values converted to another type.
template <class To, class From>
Tensor<To> converted(const Tensor<From>& tensor) {
  Tensor<To> result(tensor.shape());
  for (Index i = 0; i < tensor.size(); ++i) result.data()[i] = static_cast<To>(tensor.data()[i]);
  return result;
}

/// Expects compute(), which returns a vector of numbers, to return the same bits with 1, 2 and 3 threads.
template <class Compute>
void expectSameBitsForAllThreads(Compute compute) {
  const auto single = compute();
  ASSERT_FALSE(single.empty());
  for (const int threads : {2, 3}) {
    const ThreadsInScope scope(threads);
    const auto parallel = compute();
    ASSERT_EQ(parallel.size(), single.size());
    EXPECT_EQ(std::memcmp(parallel.data(), single.data(), single.size() * sizeof single[0]), 0)
        << threads << " threads";
  }
}

}  // namespace cross_attention::test
