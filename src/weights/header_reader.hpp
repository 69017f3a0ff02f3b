#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "weights/safetensors.hpp"

namespace cross_attention::weights {

/// A tensor as the header of a safetensors file describes it. Only its grammar has been checked.
struct HeaderEntry {
  std::string name;
  std::string dtype;
  StoredShape shape;
  std::vector<std::uint64_t> offsets;  ///< begin and end
};

/// Parses the JSON of a header. Throws kWeights for anything except an object of tensors {dtype, shape,
/// data_offsets}, each key once, and an optional __metadata__ object of strings or null. An entry may have
/// other keys, which are ignored, or be the array [dtype, shape, data_offsets]: the reference implementation
/// accepts both. `metadata`, if not null, receives the metadata. Names are not unique.
std::vector<HeaderEntry> parseHeader(std::span<const char> json, Metadata* metadata);

}  // namespace cross_attention::weights
