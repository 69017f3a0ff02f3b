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

/// Whether no element is further than `tolerance` from the expected one; else tells the worst. A NaN is far from
/// everything.
template <class Actual, class Expected>
testing::AssertionResult isNear(const Actual& actualRange, const Expected& expectedRange,
                                double tolerance) {
  const auto actual = values(actualRange);
  const auto expected = values(expectedRange);
  if (actual.size() != expected.size()) {
    return testing::AssertionFailure()
           << actual.size() << " elements; expected are " << expected.size();
  }
  std::size_t beyond = 0;
  std::size_t worst = 0;
  double worstDifference = -1;
  for (std::size_t index = 0; index < actual.size(); ++index) {
    const auto value = static_cast<double>(actual[index]);
    const auto wanted = static_cast<double>(expected[index]);
    if (value == wanted) continue;
    double difference = std::abs(value - wanted);
    if (std::isnan(difference)) difference = HUGE_VAL;
    if (difference > tolerance) ++beyond;
    if (difference > worstDifference) {
      worstDifference = difference;
      worst = index;
    }
  }
  if (beyond == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << beyond << " of " << actual.size() << " elements are off by more than " << tolerance
         << "; the worst by " << worstDifference << ": element " << worst << " is "
         << static_cast<double>(actual[worst]) << " instead of "
         << static_cast<double>(expected[worst]);
}

/// The same with a tolerance relative to the largest expected element.
template <class Actual, class Expected>
testing::AssertionResult isRelativelyNear(const Actual& actual, const Expected& expected,
                                          double tolerance) {
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

/// Whether all bits are the same.
template <class Actual, class Expected>
testing::AssertionResult isIdentical(const Actual& actualRange, const Expected& expectedRange) {
  const auto actual = values(actualRange);
  const auto expected = values(expectedRange);
  if (actual.size() != expected.size()) {
    return testing::AssertionFailure()
           << actual.size() << " elements; expected are " << expected.size();
  }
  for (std::size_t index = 0; index < actual.size(); ++index) {
    if (std::memcmp(&actual[index], &expected[index], sizeof actual[index]) != 0) {
      return testing::AssertionFailure() << "element " << index << " is " << actual[index]
                                         << " instead of exactly " << expected[index];
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

/// Whether `call` throws Error with this code and a message that is not empty.
template <class Call>
testing::AssertionResult failsWith(ErrorCode code, Call call) {
  try {
    call();
  } catch (const Error& error) {
    if (error.code() != code) {
      return testing::AssertionFailure()
             << "error code " << static_cast<int>(error.code()) << " instead of "
             << static_cast<int>(code) << ": " << error.message();
    }
    if (error.message().empty()) return testing::AssertionFailure() << "an error without message";
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "no error; expected is code " << static_cast<int>(code);
}

}  // namespace cross_attention::test
