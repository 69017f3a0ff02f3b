#pragma once

#include <cstring>
#include <span>

#include "weights/safetensors.hpp"

namespace cross_attention::weights {

template <class Stored, class T, class Convert>
void decodeAs(std::span<const std::byte> bytes, std::span<T> values, Convert convert) {
  for (std::size_t index = 0; index < values.size(); ++index) {
    // Copied because a tensor may begin at any byte.
    Stored stored;
    std::memcpy(&stored, bytes.data() + index * sizeof stored, sizeof stored);
    values[index] = static_cast<T>(convert(stored));
  }
}

/// As decode, but returns false for any other dtype.
template <class T>
bool decodeFloats(const StoredTensor& tensor, std::span<T> values);

}  // namespace cross_attention::weights
