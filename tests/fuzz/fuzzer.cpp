// The entry of libFuzzer for one of the functions of targets.hpp, TARGET.
#include <cstdint>

#include "targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cross_attention::fuzz::TARGET({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
