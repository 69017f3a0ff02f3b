#include "core/text.hpp"

#include <cmath>

#include "core/shape.hpp"

namespace cross_attention {

namespace {

void appendCount(std::string& result, std::uint64_t number) {
  char digits[20];
  char* begin = digits + sizeof digits;
  do {
    *--begin = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  result.append(begin, digits + sizeof digits);
}

void appendInteger(std::string& result, std::int64_t number) {
  if (number < 0) result += '-';
  const auto bits = static_cast<std::uint64_t>(number);
  appendCount(result, number < 0 ? 0 - bits : bits);
}

/// Handwritten because printf for real numbers would add 8 KB of WebAssembly.
void appendReal(std::string& result, double number) {
  if (std::isnan(number)) {
    result += "NaN";
    return;
  }
  if (number < 0) result += '-';
  const double magnitude = std::abs(number);
  // Larger numbers do not fit in 64 bits when counted in millionths.
  constexpr double kMaxMagnitude = 9e12;
  if (magnitude > kMaxMagnitude) {
    result += std::isinf(number) ? "infinity" : "more than 9000000000000";
    return;
  }
  if (magnitude > 0 && magnitude < 1e-3) {
    int exponent = 0;
    double mantissa = magnitude;
    for (; mantissa < 1; mantissa *= 10) --exponent;
    appendReal(result, mantissa);
    result += 'e';
    appendInteger(result, exponent);
    return;
  }
  constexpr std::uint64_t kMillion = 1'000'000;
  const auto millionths = static_cast<std::uint64_t>(std::llround(magnitude * kMillion));
  appendCount(result, millionths / kMillion);
  std::uint64_t rest = millionths % kMillion;
  if (rest == 0) return;
  result += '.';
  for (std::uint64_t digit = kMillion / 10; rest > 0; digit /= 10) {
    result += static_cast<char>('0' + rest / digit);
    rest %= digit;
  }
}

}  // namespace

void TextPart::appendTo(std::string& result) const {
  if (const auto* words = std::get_if<const char*>(&value_)) result += *words;
  if (const auto* words = std::get_if<std::string_view>(&value_)) result += *words;
  if (const auto* integer = std::get_if<std::int64_t>(&value_)) appendInteger(result, *integer);
  if (const auto* count = std::get_if<std::uint64_t>(&value_)) appendCount(result, *count);
  if (const auto* real = std::get_if<double>(&value_)) appendReal(result, *real);
  if (const auto* shape = std::get_if<const Shape*>(&value_)) result += toString(**shape);
}

std::string text(std::initializer_list<TextPart> parts) {
  std::string result;
  for (const TextPart& part : parts) part.appendTo(result);
  return result;
}

std::string shortened(std::string_view text) {
  constexpr std::size_t kMaxBytes = 100;
  if (text.size() <= kMaxBytes) return std::string(text);
  std::size_t end = kMaxBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) --end;
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace cross_attention
