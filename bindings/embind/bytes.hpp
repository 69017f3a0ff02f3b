#pragma once

#include <cstddef>
#include <vector>

namespace cross_attention::embind {

/// A file's bytes in WebAssembly's memory.
using Bytes = std::vector<std::byte>;

}  // namespace cross_attention::embind
