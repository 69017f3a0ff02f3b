#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/shape.hpp"

namespace cross_attention::weights {

/// A file starts with the length of its header, a little-endian 8-byte integer.
constexpr std::size_t kLengthBytes = 8;

/// One tensor of a file. Its bytes lie in the file's memory: little-endian, row-major.
struct StoredTensor {
  std::string name;
  /// As in the file: "F32", "F16", "BF16", "F64", "I64", …
  std::string dtype;
  Shape shape;
  std::span<const std::byte> bytes;
};

/// A file's metadata: pairs of name and value.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// Reads the header of a safetensors file (https://github.com/huggingface/safetensors, "Format") and returns
/// its tensors, which point into `file`. `metadata`, if not null, receives the file's metadata.
///
/// The bytes are untrusted. Lengths, JSON, names (unique), shapes and offsets (within the file, matching the
/// shapes, without overlaps or holes) are all checked. Throws kWeights, naming the tensor.
std::vector<StoredTensor> readSafetensors(std::span<const std::byte> file, Metadata* metadata = nullptr);

/// Converts the values of a stored tensor (F64, F32, F16 or BF16) to T, rounded to nearest if T is narrower.
/// `values` must have the shape's size. Throws kWeights for any other dtype.
template <class T>
void decode(const StoredTensor& tensor, std::span<T> values);

template <class T>
struct NamedValues {
  std::string name;
  Shape shape;
  std::span<const T> values;
};

/// Returns a safetensors file of these tensors. Values are rounded to nearest even as `dtype` ("F32", "F16",
/// "BF16" or "F64"; kArgument for any other). The metadata is {"format": "pt"}, as diffusers requires,
/// followed by `metadata`.
template <class T>
std::vector<std::byte> writeSafetensors(std::span<const NamedValues<T>> tensors, const std::string& dtype,
                                        const Metadata& metadata = {});

}  // namespace cross_attention::weights
