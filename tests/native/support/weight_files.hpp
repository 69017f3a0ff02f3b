#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "layer/diffusion_cross_attention.hpp"
#include "weights/safetensors.hpp"

namespace cross_attention::test {

using File = std::vector<std::byte>;

/// Builds a safetensors file from the length of the header, the header and `dataBytes` bytes of data.
File makeFile(std::string_view header, std::size_t dataBytes);
/// Like makeFile, but the first eight bytes state `length` as the length of the header.
File fileWithHeaderLength(std::uint64_t length, std::string_view header, std::size_t dataBytes);

/// Returns the parameters of a layer as a file.
template <class T>
File saveLayer(const layer::DiffusionCrossAttention<T>& layer, const std::string& dtype,
               const std::string& prefix = "");

}  // namespace cross_attention::test
