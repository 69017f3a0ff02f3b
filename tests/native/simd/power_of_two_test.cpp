#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "simd/exponential.hpp"
#include "support/build.hpp"

namespace cross_attention::test::simd_power_of_two_test {

namespace {

/// Returns 2^x in a wider format.
double exactPower(float x) { return std::exp2(static_cast<double>(x)); }
long double exactPower(double x) { return std::exp2(static_cast<long double>(x)); }

/// The error stated by the header. For float it is 1.72e-7 over all fractions. Without fused multiply-add
/// each step is rounded twice and it is 1.93e-7.
template <class T>
constexpr double kRelativeError = sizeof(T) == 8            ? 2.3e-16
                                  : simd::kFusedMultiplyAdd ? 1.8e-7
                                                            : 1.95e-7;

template <class T>
using Lanes = std::array<T, static_cast<std::size_t>(simd::kLanes<T>)>;

template <class T>
Lanes<T> powers(const simd::PowerOfTwo<T>& powerOfTwo, Lanes<T> x) {
  simd::store(x.data(), powerOfTwo(simd::load(x.data())));
  return x;
}

template <class T>
T power(T x) {
  Lanes<T> all;
  all.fill(x);
  return powers<T>(simd::PowerOfTwo<T>(), all)[0];
}

template <class T>
struct Worst {
  double error = 0;
  T x = 0;
};

/// Returns the largest relative error over `steps` equal steps from `low` to `high`.
template <class T>
Worst<T> worstError(T low, T high, Index steps) {
  Worst<T> worst;
  const simd::PowerOfTwo<T> powerOfTwo;
  Lanes<T> x;
  for (Index step = 0; step <= steps; step += simd::kLanes<T>) {
    for (std::size_t lane = 0; lane < x.size(); ++lane) {
      const T part = static_cast<T>(step + static_cast<Index>(lane)) / static_cast<T>(steps);
      x[lane] = std::min(high, low + (high - low) * part);
    }
    const Lanes<T> results = powers<T>(powerOfTwo, x);
    for (std::size_t lane = 0; lane < x.size(); ++lane) {
      const auto exact = exactPower(x[lane]);
      const auto difference = std::abs(static_cast<decltype(exact)>(results[lane]) - exact);
      const auto error = static_cast<double>(difference / exact);
      if (!(error <= worst.error)) worst = {error, x[lane]};
    }
  }
  return worst;
}

}  // namespace

template <class T>
class PowerOfTwoTest : public testing::Test {
 public:
  /// The exponent of the smallest normal number: -126 or -1022.
  static constexpr T kMinExponent = std::numeric_limits<T>::min_exponent - 1;
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(PowerOfTwoTest, Formats);

TYPED_TEST(PowerOfTwoTest, IsWithinTheStatedRelativeError) {
  using T = TypeParam;
  const Index steps = reduced<Index>(2000000, 200000);
  // The whole range stated by the header, the range of most softmax scores, and one period of the polynomial.
  for (const auto& [low, high] : {std::pair<T, T>{TestFixture::kMinExponent, T(127)},
                                  {T(-20), T(0)},
                                  {T(-0.5), T(0.5)},
                                  {T(-0.01), T(0.01)}}) {
    const Worst<T> worst = worstError<T>(low, high, steps);
    EXPECT_LE(worst.error, kRelativeError<T>) << "at " << worst.x;
    std::printf("2^x, %zu bytes, %g to %g: relative error at most %.3g, at %.9g\n", sizeof(T),
                static_cast<double>(low), static_cast<double>(high), worst.error,
                static_cast<double>(worst.x));
  }
}

TYPED_TEST(PowerOfTwoTest, IsExactForIntegers) {
  using T = TypeParam;
  for (int n = static_cast<int>(TestFixture::kMinExponent); n <= 127; ++n) {
    ASSERT_EQ(power<T>(static_cast<T>(n)), std::ldexp(T(1), n)) << n;
  }
  EXPECT_EQ(power<T>(T(-0.0)), T(1));
}

TYPED_TEST(PowerOfTwoTest, HasNoJumpWhereTheFractionChangesSign) {
  using T = TypeParam;
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  for (int n = -100; n <= 100; ++n) {
    // Across n + 1/2, where the argument reduction changes to the next integer.
    T x = static_cast<T>(n) + T(0.5);
    for (int step = 0; step < 8; ++step) x = std::nextafter(x, -kInfinity);
    for (int step = 0; step < 16; ++step) {
      const T next = std::nextafter(x, kInfinity);
      const T allowed = static_cast<T>(2 * kRelativeError<T>) * power<T>(x);
      ASSERT_GE(power<T>(next), power<T>(x) - allowed) << x;
      x = next;
    }
  }
}

TYPED_TEST(PowerOfTwoTest, IsBelowTheSmallestNormalNumberForSubnormalResults) {
  using T = TypeParam;
  const T smallest = TestFixture::kMinExponent;
  EXPECT_EQ(power<T>(smallest), std::numeric_limits<T>::min());
  const Index steps = 10000;
  for (Index step = 1; step <= steps; ++step) {
    const T x = smallest - static_cast<T>(step) / static_cast<T>(2 * steps);
    ASSERT_LT(power<T>(x), std::numeric_limits<T>::min()) << x;
    ASSERT_GE(power<T>(x), T(0)) << x;
    ASSERT_FALSE(std::signbit(power<T>(x))) << x;
  }
}

TYPED_TEST(PowerOfTwoTest, IsZeroFromHalfABinadeBelowTheNormalNumbers) {
  using T = TypeParam;
  using Limits = std::numeric_limits<T>;
  const T half = TestFixture::kMinExponent - T(0.5);
  for (const T x :
       {half, std::nextafter(half, -Limits::infinity()), half - T(0.25), half - T(0.5), half - T(0.75),
        half - 1, half - 2, 2 * half, T(-1e6), T(-1e30), Limits::lowest(), -Limits::infinity()}) {
    EXPECT_EQ(power<T>(x), T(0)) << x;
    EXPECT_FALSE(std::signbit(power<T>(x))) << x;
  }
  for (Index step = 0; step <= 4000; ++step) {
    const T x = half - static_cast<T>(step) / T(1000);
    ASSERT_EQ(power<T>(x), T(0)) << x;
  }
}

TYPED_TEST(PowerOfTwoTest, NaNStaysNaN) {
  using T = TypeParam;
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const T quiet = std::numeric_limits<T>::quiet_NaN();
  EXPECT_TRUE(std::isnan(power<T>(quiet)));
  EXPECT_TRUE(std::isnan(power<T>(-quiet)));
  EXPECT_TRUE(std::isnan(power<T>(std::numeric_limits<T>::signaling_NaN())));
  // Each bit of the payload alone, and all bits below it: the low bits become an exponent.
  const Bits plain = std::bit_cast<Bits>(quiet);
  for (int bit = 0; bit < std::numeric_limits<T>::digits - 2; ++bit) {
    for (const Bits payload : {Bits(1) << bit, (Bits(1) << bit) - 1}) {
      EXPECT_TRUE(std::isnan(power<T>(std::bit_cast<T>(plain | payload)))) << bit;
    }
  }
}

TYPED_TEST(PowerOfTwoTest, LanesDoNotDependOnEachOther) {
  using T = TypeParam;
  using Limits = std::numeric_limits<T>;
  const std::array<T, 4> kinds = {-Limits::infinity(), T(-1.25), Limits::quiet_NaN(), T(3)};
  for (std::size_t shift = 0; shift < kinds.size(); ++shift) {
    Lanes<T> x;
    for (std::size_t lane = 0; lane < x.size(); ++lane) {
      x[lane] = kinds[(lane + shift) % kinds.size()];
    }
    const Lanes<T> results = powers<T>(simd::PowerOfTwo<T>(), x);
    for (std::size_t lane = 0; lane < x.size(); ++lane) {
      if (std::isnan(x[lane])) {
        EXPECT_TRUE(std::isnan(results[lane])) << lane;
      } else {
        EXPECT_EQ(results[lane], power<T>(x[lane])) << lane;
      }
    }
  }
}

}  // namespace cross_attention::test::simd_power_of_two_test
