#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "core/error.hpp"
#include "core/tensor.hpp"

namespace cross_attention::test {

template <class T>
std::span<const T> values(const Tensor<T>& tensor) {
  return {tensor.data(), static_cast<std::size_t>(tensor.size())};
}
template <class T>
std::span<const T> values(const std::vector<T>& vector) {
  return vector;
}
template <class T>
std::span<const T> values(std::span<T> span) {
  return span;
}

template <class Range>
double largestMagnitude(const Range& range) {
  double largest = 0;
  for (const auto value : values(range)) {
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  }
  return largest;
}

/// Succeeds if no element differs from the expected one by more than `tolerance`. The failure names the worst
/// element. NaN differs from everything.
template <class Actual, class Expected>
testing::AssertionResult isNear(const Actual& actualRange, const Expected& expectedRange, double tolerance) {
  const auto actual = values(actualRange);
  const auto expected = values(expectedRange);
  if (actual.size() != expected.size()) {
    return testing::AssertionFailure() << "the size is " << actual.size() << "; expected " << expected.size();
  }
  std::size_t beyond = 0;
  std::size_t worst = 0;
  double worstDifference = -1;
  for (std::size_t index = 0; index < actual.size(); ++index) {
    const auto value = static_cast<double>(actual[index]);
    const auto expectedValue = static_cast<double>(expected[index]);
    if (value == expectedValue) continue;
    double difference = std::abs(value - expectedValue);
    if (std::isnan(difference)) difference = HUGE_VAL;
    if (difference > tolerance) ++beyond;
    if (difference > worstDifference) {
      worstDifference = difference;
      worst = index;
    }
  }
  if (beyond == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << beyond << " of " << actual.size() << " elements differ by more than "
                                     << tolerance << ", at most by " << worstDifference << ": element "
                                     << worst << " is " << static_cast<double>(actual[worst]) << "; expected "
                                     << static_cast<double>(expected[worst]);
}

/// Like isNear, with a tolerance relative to the largest expected element.
template <class Actual, class Expected>
testing::AssertionResult isRelativelyNear(const Actual& actual, const Expected& expected, double tolerance) {
  return isNear(actual, expected, tolerance * largestMagnitude(expected));
}

template <class Actual, class Expected>
double largestDifference(const Actual& actualRange, const Expected& expectedRange) {
  const auto actual = values(actualRange);
  const auto expected = values(expectedRange);
  double largest = 0;
  for (std::size_t index = 0; index < actual.size(); ++index) {
    const double difference =
        std::abs(static_cast<double>(actual[index]) - static_cast<double>(expected[index]));
    largest = std::isnan(difference) ? HUGE_VAL : std::max(largest, difference);
  }
  return largest;
}

/// Succeeds if all bits are equal.
template <class Actual, class Expected>
testing::AssertionResult isIdentical(const Actual& actualRange, const Expected& expectedRange) {
  const auto actual = values(actualRange);
  const auto expected = values(expectedRange);
  if (actual.size() != expected.size()) {
    return testing::AssertionFailure() << "the size is " << actual.size() << "; expected " << expected.size();
  }
  for (std::size_t index = 0; index < actual.size(); ++index) {
    if (std::memcmp(&actual[index], &expected[index], sizeof actual[index]) != 0) {
      return testing::AssertionFailure()
             << "element " << index << " is " << actual[index] << "; expected exactly " << expected[index];
    }
  }
  return testing::AssertionSuccess();
}

template <class Range>
testing::AssertionResult isFinite(const Range& range) {
  const auto all = values(range);
  for (std::size_t index = 0; index < all.size(); ++index) {
    if (!std::isfinite(all[index])) {
      return testing::AssertionFailure() << "element " << index << " is " << all[index];
    }
  }
  return testing::AssertionSuccess();
}

/// Succeeds if `call` throws an Error with this code and a non-empty message.
template <class Call>
testing::AssertionResult failsWith(ErrorCode code, Call call) {
  try {
    call();
  } catch (const Error& error) {
    if (error.code() != code) {
      return testing::AssertionFailure()
             << "the error code is " << static_cast<int>(error.code()) << "; expected "
             << static_cast<int>(code) << ": " << error.message();
    }
    if (error.message().empty()) return testing::AssertionFailure() << "the error has no message";
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "no error; expected code " << static_cast<int>(code);
}

}  // namespace cross_attention::test
