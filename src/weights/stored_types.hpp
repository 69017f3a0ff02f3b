#pragma once

#include <array>
#include <string_view>

#include "core/index.hpp"

namespace cross_attention::weights {

struct StoredType {
  std::string_view name;
  Index bytes;
};

/// The element types of the format that occupy whole bytes.
inline constexpr std::array<StoredType, 15> kStoredTypes = {{
    {"F64", 8},
    {"F32", 4},
    {"F16", 2},
    {"BF16", 2},
    {"I64", 8},
    {"I32", 4},
    {"I16", 2},
    {"I8", 1},
    {"U64", 8},
    {"U32", 4},
    {"U16", 2},
    {"U8", 1},
    {"BOOL", 1},
    {"F8_E4M3", 1},
    {"F8_E5M2", 1},
}};

/// Returns null for an unknown type.
inline const StoredType* findStoredType(std::string_view name) {
  for (const StoredType& type : kStoredTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

}  // namespace cross_attention::weights
