#pragma once

#include <array>
#include <string_view>

namespace cross_attention::weights {

struct StoredType {
  std::string_view name;
  int bits;
};

/// The element types of the reference implementation (huggingface/safetensors 0.8, Dtype).
inline constexpr std::array<StoredType, 22> kStoredTypes = {{
    {"F64", 64},        {"F32", 32},        {"F16", 16},    {"BF16", 16},   {"I64", 64}, {"I32", 32},
    {"I16", 16},        {"I8", 8},          {"U64", 64},    {"U32", 32},    {"U16", 16}, {"U8", 8},
    {"BOOL", 8},        {"F8_E4M3", 8},     {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"C64", 64}, {"F4", 4},
    {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6},
}};

/// Returns null for an unknown type.
inline const StoredType* findStoredType(std::string_view name) {
  for (const StoredType& type : kStoredTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

}  // namespace cross_attention::weights
