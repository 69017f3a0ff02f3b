#pragma once

#include <cstdint>
#include <string_view>

namespace cross_attention::weights {

/// Whether `text` is well-formed UTF-8 (The Unicode Standard, table 3-7): no overlong forms, no halves of surrogate pairs,
/// nothing above U+10FFFF. RapidJSON's own check is ten times its size and lets spelled-out surrogates pass.
inline bool isUtf8(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  for (std::size_t at = 0; at < text.size();) {
    const std::uint8_t lead = byte(at++);
    if (lead < 0x80) continue;
    if (lead < 0xC2 || lead > 0xF4) return false;
    const int following = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    // Of some lead bytes not every second byte may follow.
    std::uint8_t least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    std::uint8_t most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (int count = 0; count < following; ++count) {
      if (at == text.size() || byte(at) < least || byte(at) > most) return false;
      ++at;
      least = 0x80;
      most = 0xBF;
    }
  }
  return true;
}

}  // namespace cross_attention::weights
