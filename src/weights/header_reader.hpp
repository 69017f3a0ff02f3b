#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "weights/safetensors.hpp"

namespace cross_attention::weights {

/// A tensor as the header of a safetensors file describes it; nothing but its grammar has been checked.
struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> offsets;  ///< begin and end
};

/// Reads the JSON of a header. Throws kWeights for anything but an object of tensors {dtype, shape, data_offsets}, each
/// key once, and perhaps __metadata__ of strings, which `metadata` receives where it is there.
std::vector<HeaderEntry> readHeader(std::span<const char> json, Metadata* metadata);

}  // namespace cross_attention::weights
