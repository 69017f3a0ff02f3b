#pragma once

#include <cstddef>
#include <vector>

namespace cross_attention::embind {

/// The bytes of a file in WebAssembly memory.
using Bytes = std::vector<std::byte>;

}  // namespace cross_attention::embind
