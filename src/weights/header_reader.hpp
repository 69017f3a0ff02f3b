#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cross_attention::weights {

/// A tensor as the header of a safetensors file describes it; nothing but its grammar has been checked.
struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> offsets;  ///< begin and end
};

/// Reads the JSON of a header. Throws kWeights for anything but an object of tensors {dtype, shape, data_offsets}, each
/// key once, and perhaps __metadata__ of strings.
std::vector<HeaderEntry> readHeader(std::span<const char> json);

}  // namespace cross_attention::weights
