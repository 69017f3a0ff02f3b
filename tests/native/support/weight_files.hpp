#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "layer/diffusion_cross_attention.hpp"
#include "weights/loading.hpp"
#include "weights/safetensors.hpp"

namespace cross_attention::test {

using File = std::vector<std::byte>;

/// A safetensors file put together by hand: the header's length, the header, `dataBytes` bytes.
File makeFile(std::string_view header, std::size_t dataBytes);
/// The same, its first eight bytes claiming another length.
File fileWithHeaderLength(std::uint64_t length, std::string_view header, std::size_t dataBytes);

/// A layer's parameters as a file.
template <class T>
File saveLayer(const layer::DiffusionCrossAttention<T>& layer, const std::string& dtype,
           const std::string& prefix = "");

/// Everything in a file, meant for the parameters of the same names once `prefix` is taken off.
template <class T>
std::vector<weights::Candidate<T>> candidatesOf(const std::vector<weights::StoredTensor>& tensors,
                                                const std::string& prefix = "");

}  // namespace cross_attention::test
