#pragma once

#include <bit>
#include <cstdint>

/// Conversions of the 16-bit floating-point formats of weight files. They use integer arithmetic, so that
/// results are the same on every platform.
namespace cross_attention::weights {

/// Drops the lower `dropped` bits of a pattern: rounds to nearest, ties to even.
constexpr std::uint32_t roundBits(std::uint32_t bits, int dropped) {
  const std::uint32_t half = 1u << (dropped - 1);
  const std::uint32_t odd = (bits >> dropped) & 1u;
  return (bits + half - 1 + odd) >> dropped;
}

/// IEEE 754 binary16.
constexpr std::uint16_t toHalf(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  std::uint32_t half = 0;
  if (magnitude > 0x7F800000u) {
    half = 0x7E00u;  // NaN
  } else if (magnitude >= 0x47800000u) {
    half = 0x7C00u;  // 2^16 and more: infinity
  } else if (magnitude >= 0x38800000u) {
    // Normal. A carry out of the mantissa increments the exponent, up to infinity, which is the correct
    // result.
    half = roundBits(magnitude - 0x38000000u, 13);
  } else if (magnitude >= 0x33000000u) {
    // Subnormal: the mantissa with its leading one, in units of 2^-24.
    const int shift = 126 - static_cast<int>(magnitude >> 23);
    half = roundBits((magnitude & 0x007FFFFFu) | 0x00800000u, shift);
  }
  return static_cast<std::uint16_t>(sign | half);
}

constexpr float fromHalf(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1Fu;
  const std::uint32_t mantissa = half & 0x3FFu;
  if (exponent == 0x1Fu) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  if (exponent > 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

/// bfloat16: the upper half of a float.
constexpr std::uint16_t toBfloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>(roundBits(bits, 16));
}

constexpr float fromBfloat(std::uint16_t bfloat) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bfloat) << 16);
}

/// Converts a double to a float such that rounding the result to 16 bits is correct: rounds towards zero, and
/// sets the last bit if anything was lost ("round to odd": Boldo and Melquiond, 2008).
inline float toFloatForHalf(double value) {
  const auto nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || nearest != nearest) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  const double magnitude = value < 0 ? -value : value;
  const double nearestMagnitude = nearest < 0 ? -static_cast<double>(nearest) : nearest;
  if (nearestMagnitude > magnitude) --bits;
  return std::bit_cast<float>(bits | 1u);
}

}  // namespace cross_attention::weights
