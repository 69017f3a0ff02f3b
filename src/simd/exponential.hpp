#pragma once

#include <cstdint>

#include "simd/vector.hpp"

namespace cross_attention::simd {

namespace detail {

template <class T>
struct ExponentialConstants;

template <>
struct ExponentialConstants<float> {
  using Integer = std::int32_t;
  static constexpr int kMantissaBits = 23;
  static constexpr Integer kOne = 0x3F800000;
  /// Adding it leaves the rounded value in the low bits.
  static constexpr float kRounder = 0x1.8p23f;
  static constexpr float kLn2High = 0x1.62e4p-1f;
  static constexpr float kLn2Low = 0x1.7f7d1cp-20f;
  /// Below it 2^n · polynomial would leave the normal numbers.
  static constexpr float kUnderflow = -87.33654f;
  /// Minimax on [-ln2/2, ln2/2] for (exp(r) - 1 - r) / r², the highest power first.
  static constexpr float kPolynomial[] = {0x1.6ef19ep-10f, 0x1.131b16p-7f, 0x1.5552aep-5f,
                                          0x1.55534ap-3f, 0x1p-1f};
};

template <>
struct ExponentialConstants<double> {
  using Integer = std::int64_t;
  static constexpr int kMantissaBits = 52;
  static constexpr Integer kOne = 0x3FF0000000000000;
  static constexpr double kRounder = 0x1.8p52;
  static constexpr double kLn2High = 0x1.62e42fee00000p-1;
  static constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  static constexpr double kUnderflow = -708.396418532264;
  /// Taylor: 1/13! … 1/2!. The first term left out is below 5e-18 on [-ln2/2, ln2/2].
  static constexpr double kPolynomial[] = {
      1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
      1.0 / 5040,       1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      1.0 / 2};
};

}  // namespace detail

/// e^x for x up to 80 (softmax asks for x ≤ 0 but for rounding). Exactly 0 below the normal numbers (x < -87.3 for
/// float, -708 for double) and for -infinity; NaN stays NaN. Relative error at most 2 units in the last place (the
/// test measures it): Cody and Waite's reduction x = n·ln2 + r, then a polynomial in r.
template <class T>
inline Vector<T> exponential(Vector<T> x) {
  using Constants = detail::ExponentialConstants<T>;
  using Integer = xsimd::batch<typename Constants::Integer>;
  const Vector<T> rounder = splat(Constants::kRounder);
  const Vector<T> shifted = multiplyAdd(x, splat(T(1.4426950408889634074)), rounder);
  const Vector<T> n = shifted - rounder;
  Vector<T> r = multiplyAdd(n, splat(-Constants::kLn2High), x);
  r = multiplyAdd(n, splat(-Constants::kLn2Low), r);
  Vector<T> polynomial = splat(Constants::kPolynomial[0]);
  for (std::size_t term = 1; term < std::size(Constants::kPolynomial); ++term) {
    polynomial = multiplyAdd(polynomial, r, splat(Constants::kPolynomial[term]));
  }
  const Vector<T> value = multiplyAdd(polynomial, r * r, r) + splat(T(1));
  const Integer power =
      (xsimd::bitwise_cast<typename Constants::Integer>(shifted) << Constants::kMantissaBits) +
      Integer(Constants::kOne);
  const Vector<T> result = value * xsimd::bitwise_cast<T>(power);
  return select<T>(x < splat(Constants::kUnderflow), splat(T(0)), result);
}

}  // namespace cross_attention::simd
