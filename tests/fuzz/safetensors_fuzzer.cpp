// Reads arbitrary bytes as a safetensors file. They must be read or refused with kWeights, and every tensor
// that was read must be decodable or refused with kWeights.
//   cmake --preset fuzz && cmake --build build/fuzz
//   build/fuzz/tests/fuzz/safetensors_fuzzer -dict=tests/fuzz/safetensors.dict -max_total_time=60
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/error.hpp"
#include "weights/safetensors.hpp"

namespace {

using cross_attention::Error;
using cross_attention::ErrorCode;

template <class T>
void decode(const cross_attention::weights::StoredTensor& tensor) {
  std::uint64_t size = 1;
  for (const std::uint64_t dimension : tensor.shape) size *= dimension;
  std::vector<T> values(static_cast<std::size_t>(size));
  cross_attention::weights::decode(tensor, std::span<T>(values));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
    for (const auto& tensor : cross_attention::weights::readSafetensors(file)) {
      // All bytes of the tensor must lie within the file.
      if (tensor.bytes.size() > size || tensor.bytes.data() + tensor.bytes.size() > file.data() + size) {
        std::abort();
      }
      decode<float>(tensor);
      decode<double>(tensor);
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kWeights) std::abort();
  }
  return 0;
}
