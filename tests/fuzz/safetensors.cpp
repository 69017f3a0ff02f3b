// Arbitrary bytes as a safetensors file: they must be read or refused with kWeights, and every tensor that
// was read must be decodable, or refused because of its dtype.
#include "weights/safetensors.hpp"

#include <cstdint>
#include <vector>

#include "core/error.hpp"
#include "targets.hpp"

namespace cross_attention::fuzz {

namespace {

/// Calls `decode`, which may refuse the dtype, or an integer that the numbers cannot represent.
template <class T>
void decodeWith(void (*decode)(const weights::StoredTensor&, std::span<T>),
                const weights::StoredTensor& tensor) {
  std::uint64_t size = 1;
  for (const std::uint64_t dimension : tensor.shape) size *= dimension;
  std::vector<T> values(static_cast<std::size_t>(size));
  try {
    decode(tensor, std::span<T>(values));
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kWeights || error.code() == ErrorCode::kArgument, error.what());
  }
}

}  // namespace

void safetensors(Bytes file) {
  std::vector<weights::StoredTensor> tensors;
  try {
    weights::Metadata metadata;
    tensors = weights::readSafetensors(file, &metadata);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kWeights, error.what());
  }
  for (const weights::StoredTensor& tensor : tensors) {
    const bool isInside = tensor.bytes.data() >= file.data() &&
                          tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size();
    require(isInside || tensor.bytes.empty(), "a tensor has bytes outside the file");
    decodeWith<float>(weights::decode, tensor);
    decodeWith<double>(weights::decode, tensor);
    decodeWith<float>(weights::decodeNumbers, tensor);
  }
}

}  // namespace cross_attention::fuzz
