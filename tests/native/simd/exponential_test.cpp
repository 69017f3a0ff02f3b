#include "simd/exponential.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "support/build.hpp"

namespace cross_attention::test {

namespace {

/// exp in a wider format.
double exactExponential(float x) { return std::exp(static_cast<double>(x)); }
long double exactExponential(double x) { return std::exp(static_cast<long double>(x)); }

template <class T>
std::array<T, static_cast<std::size_t>(simd::kLanes<T>)> exponentials(
    std::array<T, static_cast<std::size_t>(simd::kLanes<T>)> x) {
  simd::store(x.data(), simd::exponential<T>(simd::load(x.data())));
  return x;
}

template <class T>
T exponential(T x) {
  std::array<T, static_cast<std::size_t>(simd::kLanes<T>)> all;
  all.fill(x);
  return exponentials<T>(all)[0];
}

/// The error in units in the last place of the exact result.
template <class T>
double error(T x, T result) {
  const auto exact = exactExponential(x);
  int exponent = 0;
  std::frexp(exact, &exponent);
  const auto unit = std::ldexp(decltype(exact)(1), exponent - std::numeric_limits<T>::digits);
  return static_cast<double>(std::abs(static_cast<decltype(exact)>(result) - exact) / unit);
}

template <class T>
struct Worst {
  double units = 0;
  T x = 0;
};

/// Over `steps` equal steps from `low` to `high`.
template <class T>
Worst<T> worstError(T low, T high, Index steps) {
  Worst<T> worst;
  constexpr std::size_t kLanes = static_cast<std::size_t>(simd::kLanes<T>);
  for (Index step = 0; step <= steps; step += static_cast<Index>(kLanes)) {
    std::array<T, kLanes> x;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const T part = static_cast<T>(step + static_cast<Index>(lane)) / static_cast<T>(steps);
      x[lane] = std::min(high, low + (high - low) * part);
    }
    const std::array<T, kLanes> results = exponentials<T>(x);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double units = error(x[lane], results[lane]);
      if (!(units <= worst.units)) worst = {units, x[lane]};
    }
  }
  return worst;
}

}  // namespace

template <class T>
class ExponentialTest : public testing::Test {
 public:
  using Constants = simd::detail::ExponentialConstants<T>;
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(ExponentialTest, Formats);

TYPED_TEST(ExponentialTest, IsWithinTwoUnitsInTheLastPlace) {
  using T = TypeParam;
  const Index steps = reduced<Index>(3000000, 300000);
  // The whole range that its header promises, then where softmax has most of its scores.
  for (const auto& [low, high] : {std::pair<T, T>{TestFixture::Constants::kUnderflow, T(80)},
                                  {T(-12), T(0)},
                                  {T(-0.01), T(0.01)}}) {
    const Worst<T> worst = worstError<T>(low, high, steps);
    EXPECT_LE(worst.units, 2.0) << "at " << worst.x;
    std::printf("exp, %zu bytes, %g to %g: at most %.3f units in the last place, at %.9g\n",
                sizeof(T), static_cast<double>(low), static_cast<double>(high), worst.units,
                static_cast<double>(worst.x));
  }
}

TYPED_TEST(ExponentialTest, OfZeroIsExactlyOne) {
  EXPECT_EQ(exponential<TypeParam>(0), TypeParam(1));
  EXPECT_EQ(exponential<TypeParam>(TypeParam(-0.0)), TypeParam(1));
}

TYPED_TEST(ExponentialTest, IsZeroBelowTheNormalNumbers) {
  using T = TypeParam;
  using Limits = std::numeric_limits<T>;
  const T underflow = TestFixture::Constants::kUnderflow;
  EXPECT_GE(exponential<T>(underflow), Limits::min() / 2);
  EXPECT_EQ(exponential<T>(std::nextafter(underflow, -Limits::infinity())), T(0));
  for (const T x :
       {underflow - 1, T(-1000), T(-1e6), T(-1e30), Limits::lowest(), -Limits::infinity()}) {
    EXPECT_EQ(exponential<T>(x), T(0)) << x;
    EXPECT_FALSE(std::signbit(exponential<T>(x))) << x;
  }
}

TYPED_TEST(ExponentialTest, NaNStaysNaN) {
  EXPECT_TRUE(std::isnan(exponential<TypeParam>(std::numeric_limits<TypeParam>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(exponential<TypeParam>(-std::numeric_limits<TypeParam>::quiet_NaN())));
}

TYPED_TEST(ExponentialTest, LanesDoNotDependOnEachOther) {
  using T = TypeParam;
  std::array<T, static_cast<std::size_t>(simd::kLanes<T>)> x;
  for (std::size_t lane = 0; lane < x.size(); ++lane) {
    x[lane] = lane % 3 == 0 ? -std::numeric_limits<T>::infinity() : T(-1.25) * static_cast<T>(lane);
  }
  const auto results = exponentials<T>(x);
  for (std::size_t lane = 0; lane < x.size(); ++lane) {
    EXPECT_EQ(results[lane], exponential<T>(x[lane])) << lane;
  }
}

TYPED_TEST(ExponentialTest, IsMonotonicOverNeighbours) {
  using T = TypeParam;
  // Neighbouring arguments around powers of two, where the reduction changes from one n to the next. exp may repeat a
  // value or step back by its error, but not by more than both errors.
  for (int n = -100; n <= 100; ++n) {
    T x = static_cast<T>(0.5 * std::log(2.0) * n);
    if (x < TestFixture::Constants::kUnderflow + 1 || x > T(80)) continue;
    for (int step = 0; step < 16; ++step) {
      const T next = std::nextafter(x, std::numeric_limits<T>::infinity());
      const T allowed = 4 * std::numeric_limits<T>::epsilon() * exponential<T>(x);
      ASSERT_GE(exponential<T>(next), exponential<T>(x) - allowed) << x;
      x = next;
    }
  }
}

}  // namespace cross_attention::test
