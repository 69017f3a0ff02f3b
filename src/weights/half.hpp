#pragma once

#include <bit>
#include <cstdint>

/// Conversions of the 16-bit and 8-bit floating-point formats of weight files. All steps are exact or use
/// integer arithmetic, so that results are the same on every platform.
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

/// Without branches, so that a loop over many is vectorized: 6 times as fast.
constexpr float fromHalf(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t magnitude = (half & 0x7FFFu) << 13;
  // The product moves the exponent from the bias of 15 to that of 127, and normalizes subnormal numbers.
  const float value = std::bit_cast<float>(magnitude) * 0x1p112f;
  const bool isFinite = magnitude < 0x0F800000u;
  return std::bit_cast<float>(sign |
                              (isFinite ? std::bit_cast<std::uint32_t>(value) : magnitude | 0x7F800000u));
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

/// float8 E4M3: exponent bias 7, no infinities, NaN only if all bits but the sign are set. Based on:
/// Micikevicius et al., FP8 formats for deep learning (2022), table 1.
constexpr float fromFloat8E4M3(std::uint8_t code) {
  const std::uint32_t sign = (code & 0x80u) << 24;
  const std::uint32_t exponent = (code >> 3) & 0xFu;
  const std::uint32_t mantissa = code & 0x7u;
  if ((code & 0x7Fu) == 0x7Fu) return std::bit_cast<float>(sign | 0x7FC00000u);
  if (exponent > 0) return std::bit_cast<float>(sign | ((exponent + 120) << 23) | (mantissa << 20));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-9f;
  return sign != 0 ? -magnitude : magnitude;
}

/// float8 E5M2: the upper half of a binary16.
constexpr float fromFloat8E5M2(std::uint8_t code) { return fromHalf(static_cast<std::uint16_t>(code << 8)); }

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
