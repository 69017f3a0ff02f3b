#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/shape.hpp"

namespace cross_attention::weights {

/// A file starts with the length of its header, a little-endian 8-byte integer.
constexpr std::size_t kLengthBytes = 8;

/// The dimensions of a tensor of a file. Unlike a Shape, they may exceed memory.
using StoredShape = std::vector<std::uint64_t>;
bool isSameShape(const StoredShape& stored, const Shape& shape);
std::string toString(const StoredShape& shape);

/// A tensor as the header of a file describes it. Its bytes are little-endian, row-major.
struct TensorInfo {
  std::string name;
  /// As in the file: "F32", "F16", "BF16", "F64", "I64", …
  std::string dtype;
  StoredShape shape;
  /// The position of its bytes, counted from the end of the header.
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// One tensor of a file in memory.
struct StoredTensor : TensorInfo {
  std::span<const std::byte> bytes;
};

/// A file's metadata: pairs of name and value. If a name occurs twice, the last value counts.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// The size of the data is unknown and is not checked.
constexpr std::uint64_t kUnknownBytes = ~std::uint64_t{0};

/// Reads the header of a safetensors file: `json` is all of it without its length, `dataBytes` the number of
/// bytes that follow it. `metadata`, if not null, receives the file's metadata.
///
/// The header is untrusted. Accepts and refuses the same files as the reference implementation
/// (https://github.com/huggingface/safetensors, safetensors/src/tensor.rs): dtypes that it knows, shapes
/// whose size in bits fits in 64 bits, and offsets that match the shapes and cover the data without overlaps
/// or holes. Keys of an entry that are unknown are ignored, and so are all but the last of equal names.
/// Throws kWeights, naming the tensor.
std::vector<TensorInfo> readHeader(std::span<const char> json, std::uint64_t dataBytes,
                                   Metadata* metadata = nullptr);

/// Reads a whole file. The tensors point into it. Throws as readHeader does.
std::vector<StoredTensor> readSafetensors(std::span<const std::byte> file, Metadata* metadata = nullptr);

/// Converts floating-point values (F64, F32, F16, BF16, F8_E4M3 or F8_E5M2) to T, rounded to nearest if T is
/// narrower. `tensor.bytes` may be a part of the tensor; `values` must have its size. Throws kWeights for any
/// other dtype.
template <class T>
void decode(const StoredTensor& tensor, std::span<T> values);

/// Like decode, but also converts integers and BOOL (0 or 1). Throws kArgument if T cannot represent an
/// integer.
template <class T>
void decodeNumbers(const StoredTensor& tensor, std::span<T> values);

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
