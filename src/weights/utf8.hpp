#pragma once

#include <cstdint>
#include <string_view>

namespace cross_attention::weights {

/// True if `text` is well-formed UTF-8 (The Unicode Standard, table 3-7): no overlong forms, no surrogates,
/// nothing above U+10FFFF. RapidJSON's check is ten times the size and accepts encoded surrogates.
inline bool isUtf8(std::string_view text) {
  const auto byte = [&](std::size_t index) { return static_cast<std::uint8_t>(text[index]); };
  for (std::size_t index = 0; index < text.size();) {
    const std::uint8_t lead = byte(index++);
    if (lead < 0x80) continue;
    if (lead < 0xC2 || lead > 0xF4) return false;
    const int following = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    // After some lead bytes, the range of the second byte is narrower.
    std::uint8_t minimum = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    std::uint8_t maximum = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (int count = 0; count < following; ++count) {
      if (index == text.size() || byte(index) < minimum || byte(index) > maximum) return false;
      ++index;
      minimum = 0x80;
      maximum = 0xBF;
    }
  }
  return true;
}

}  // namespace cross_attention::weights
