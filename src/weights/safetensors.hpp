#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/shape.hpp"

namespace cross_attention::weights {

/// A file starts with the length of its header, a little-endian integer of 8 bytes.
constexpr std::size_t kLengthBytes = 8;

/// One tensor of a file: its bytes lie in the file's memory, little-endian, row-major.
struct StoredTensor {
  std::string name;
  std::string dtype;  ///< as the file names it: "F32", "F16", "BF16", "F64", "I64", …
  Shape shape;
  std::span<const std::byte> bytes;
};

/// What a file says of itself, as names and texts.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// Reads the directory of a safetensors file (https://github.com/huggingface/safetensors, "Format"). The bytes are not
/// trusted: lengths, JSON, names (no two alike), shapes and offsets (in the file, as long as the shape says, no overlap,
/// no hole) are all checked. Throws kWeights, naming the tensor. The tensors point into `file`.
/// `metadata`: receives the file's, where it is there.
std::vector<StoredTensor> readSafetensors(std::span<const std::byte> file,
                                          Metadata* metadata = nullptr);

/// The values of a stored tensor as T: F64, F32, F16 and BF16, rounded to nearest where T is narrower. `values` has the
/// shape's size. Throws kWeights for another dtype.
template <class T>
void decode(const StoredTensor& tensor, std::span<T> values);

template <class T>
struct NamedValues {
  std::string name;
  Shape shape;
  std::span<const T> values;
};

/// A safetensors file of these tensors, their values rounded to nearest even as `dtype` ("F32", "F16", "BF16", "F64");
/// kArgument for another one. metadata {"format": "pt"}, as diffusers asks for, and `metadata` after it.
template <class T>
std::vector<std::byte> writeSafetensors(std::span<const NamedValues<T>> tensors,
                                        const std::string& dtype, const Metadata& metadata = {});

}  // namespace cross_attention::weights
