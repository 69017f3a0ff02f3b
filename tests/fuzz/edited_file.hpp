#pragma once

#include <cstring>
#include <vector>

#include "targets.hpp"

namespace cross_attention::fuzz {

/// Returns `input`, or a copy of a valid safetensors file with changes that `input` describes, because random
/// bytes never become the file of a model. A description begins with 'E' and has four bytes per change: kind,
/// position (2 bytes) and value. The length of the header is kept up to date.
inline std::vector<std::byte> editedFile(Bytes input, const std::vector<std::byte>& valid) {
  if (input.empty() || input[0] != std::byte{'E'}) return {input.begin(), input.end()};
  constexpr std::size_t kLength = 8;
  std::uint64_t length = 0;
  std::memcpy(&length, valid.data(), kLength);
  const auto headerEnd = valid.begin() + static_cast<std::ptrdiff_t>(kLength + length);
  std::vector<std::byte> header(valid.begin() + kLength, headerEnd);
  std::vector<std::byte> data(headerEnd, valid.end());
  for (Bytes edits = input.subspan(1); edits.size() >= 4; edits = edits.subspan(4)) {
    const auto number = [&](std::size_t index) { return std::to_integer<std::size_t>(edits[index]); };
    const std::size_t kind = number(0);
    std::vector<std::byte>& part = kind % 4 == 0 ? data : header;
    if (part.empty()) continue;
    const auto place = part.begin() + static_cast<std::ptrdiff_t>((number(1) << 8 | number(2)) % part.size());
    if (kind % 16 < 10) {
      *place = edits[3];
    } else if (kind % 16 < 13) {
      part.erase(place);
    } else {
      part.insert(place, edits[3]);
    }
  }
  length = header.size();
  std::vector<std::byte> file(kLength);
  std::memcpy(file.data(), &length, kLength);
  file.insert(file.end(), header.begin(), header.end());
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

}  // namespace cross_attention::fuzz
