#include "weights/half.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/build.hpp"

namespace cross_attention::test::weights_half_test {

namespace {

/// A 16-bit format, by its definition.
struct Format {
  int exponentBits, mantissaBits;
  std::uint16_t (*fromFloat)(float);
  float (*toFloat)(std::uint16_t);

  std::uint16_t infinity() const {
    return static_cast<std::uint16_t>(((1u << exponentBits) - 1) << mantissaBits);
  }
  /// Returns the value of a pattern without its sign bit. The pattern of infinity returns the next power of
  /// two.
  double value(std::uint32_t pattern) const {
    const int bias = (1 << (exponentBits - 1)) - 1;
    const auto exponent = static_cast<int>(pattern >> mantissaBits);
    const auto mantissa = static_cast<double>(pattern & ((1u << mantissaBits) - 1));
    const double one = std::ldexp(1.0, mantissaBits);
    if (exponent == 0) return std::ldexp(mantissa / one, 1 - bias);
    return std::ldexp(1 + mantissa / one, exponent - bias);
  }
  /// Returns the pattern of the nearest value, or the even one of a tie. Uses a binary search and no bit
  /// tricks.
  std::uint16_t nearest(double value) const {
    const std::uint16_t sign = std::signbit(value) ? 0x8000u : 0u;
    const double magnitude = std::abs(value);
    std::uint32_t low = 0;
    std::uint32_t high = infinity();
    while (high - low > 1) {
      const std::uint32_t middle = (low + high) / 2;
      (this->value(middle) <= magnitude ? low : high) = middle;
    }
    if (magnitude >= this->value(high)) return static_cast<std::uint16_t>(sign | infinity());
    // The mean is exact: it needs at most 12 bits.
    const double middle = (this->value(low) + this->value(high)) / 2;
    const bool up = magnitude > middle || (magnitude == middle && low % 2 == 1);
    return static_cast<std::uint16_t>(sign | (up ? high : low));
  }
};

std::ostream& operator<<(std::ostream& stream, const Format& format) {
  return stream << format.exponentBits << " bits of exponent";
}

constexpr Format kHalf{5, 10, weights::toHalf, weights::fromHalf};
constexpr Format kBfloat{8, 7, weights::toBfloat, weights::fromBfloat};

}  // namespace

class HalfTest : public testing::TestWithParam<Format> {
 protected:
  const Format format_ = GetParam();

  void expectRounded(double value) const {
    const auto asFloat = static_cast<float>(value);
    if (static_cast<double>(asFloat) == value) {
      ASSERT_EQ(format_.fromFloat(asFloat), format_.nearest(value)) << value;
    }
    // A double is converted by way of float but rounded only once.
    ASSERT_EQ(format_.fromFloat(weights::toFloatForHalf(value)), format_.nearest(value)) << value;
  }
};
INSTANTIATE_TEST_SUITE_P(Formats, HalfTest, testing::Values(kHalf, kBfloat),
                         [](const auto& test) { return test.param.exponentBits == 5 ? "Half" : "Bfloat"; });

TEST_P(HalfTest, RoundTripsEveryPattern) {
  for (std::uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const auto bits = static_cast<std::uint16_t>(pattern);
    const float value = format_.toFloat(bits);
    const std::uint32_t magnitude = pattern & 0x7FFFu;
    ASSERT_EQ(std::signbit(value), pattern >= 0x8000u) << pattern;
    if (magnitude > format_.infinity()) {
      ASSERT_TRUE(std::isnan(value)) << pattern;
      ASSERT_GT(format_.fromFloat(value) & 0x7FFFu, format_.infinity()) << pattern;
      continue;
    }
    const double expected =
        magnitude == format_.infinity() ? std::numeric_limits<double>::infinity() : format_.value(magnitude);
    ASSERT_EQ(std::abs(static_cast<double>(value)), expected) << pattern;
    ASSERT_EQ(format_.fromFloat(value), bits);
    ASSERT_EQ(format_.fromFloat(weights::toFloatForHalf(static_cast<double>(value))), bits);
  }
}

TEST_P(HalfTest, RoundsToTheNearestValue) {
  const std::uint32_t step = reduced(1u, 7u);
  for (std::uint32_t pattern = 0; pattern < format_.infinity(); pattern += step) {
    const double low = format_.value(pattern);
    const double high = format_.value(pattern + 1);
    const double middle = (low + high) / 2;
    // The middle is a tie. A double next to it becomes the tie in float, so rounding twice would be wrong.
    for (const double value :
         {middle, std::nextafter(middle, 0.0), std::nextafter(middle, HUGE_VAL),
          static_cast<double>(std::nextafter(static_cast<float>(middle), 0.0f)),
          static_cast<double>(std::nextafter(static_cast<float>(middle), HUGE_VALF)), low + (high - low) / 3,
          std::nextafter(low, HUGE_VAL), std::nextafter(high, 0.0)}) {
      expectRounded(value);
      expectRounded(-value);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(HalfTest, RoundsFloatsOfEveryExponent) {
  // The stride is coprime to the width of each field, so all exponents and signs and various mantissas occur.
  constexpr std::uint32_t kStride = reduced(7919u, 65537u);
  for (std::uint64_t bits = 0; bits < (1ull << 32); bits += kStride) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(format_.toFloat(format_.fromFloat(value)))) << bits;
    } else {
      ASSERT_EQ(format_.fromFloat(value), format_.nearest(static_cast<double>(value))) << bits;
    }
  }
}

TEST_P(HalfTest, RoundsDoublesOutsideTheRangeOfFloat) {
  for (const double value :
       {0.0, 1e300, 1e39, 3.5e38, std::numeric_limits<double>::max(), std::numeric_limits<double>::infinity(),
        1e-300, 1e-46, 7e-46, 1e-45, std::numeric_limits<double>::denorm_min(), 65519.999999999, 65520.0,
        65520.000000001, 2.98023223876953125e-8, 2.9802322387695316e-8}) {
    expectRounded(value);
    expectRounded(-value);
  }
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(format_.toFloat(format_.fromFloat(weights::toFloatForHalf(nan)))));
}

}  // namespace cross_attention::test::weights_half_test
