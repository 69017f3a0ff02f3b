#include <limits>

#include "core/error.hpp"
#include "core/text.hpp"
#include "weights/decoding.hpp"

namespace cross_attention::weights {

namespace {

template <class Stored, class T>
void decodeIntegers(const StoredTensor& tensor, std::span<T> values) {
  decodeAs<Stored>(tensor.bytes, values, [&](Stored stored) {
    const T value = static_cast<T>(stored);
    // 2^63 and 2^64 have no integer of the stored type: the conversion back would be undefined.
    constexpr Stored kHalf = std::numeric_limits<Stored>::max() / 2 + 1;
    constexpr T kEnd = static_cast<T>(kHalf) * 2;
    if (value >= kEnd || static_cast<Stored>(value) != stored) {
      failArgument({"tensor '", shortened(tensor.name), "' has the value ", stored,
                    "; expected integers that ", sizeof(T) == 4 ? "float32" : "float64",
                    " represents exactly"});
    }
    return value;
  });
}

}  // namespace

template <class T>
void decodeNumbers(const StoredTensor& tensor, std::span<T> values) {
  if (decodeFloats(tensor, values)) return;
  if (tensor.dtype == "I64") return decodeIntegers<std::int64_t>(tensor, values);
  if (tensor.dtype == "U64") return decodeIntegers<std::uint64_t>(tensor, values);
  if (tensor.dtype == "I32") return decodeIntegers<std::int32_t>(tensor, values);
  if (tensor.dtype == "U32") return decodeIntegers<std::uint32_t>(tensor, values);
  if (tensor.dtype == "I16") return decodeIntegers<std::int16_t>(tensor, values);
  if (tensor.dtype == "U16") return decodeIntegers<std::uint16_t>(tensor, values);
  if (tensor.dtype == "I8") return decodeIntegers<std::int8_t>(tensor, values);
  if (tensor.dtype == "U8") return decodeIntegers<std::uint8_t>(tensor, values);
  if (tensor.dtype == "BOOL") {
    return decodeAs<std::uint8_t>(tensor.bytes, values, [](std::uint8_t value) { return value != 0; });
  }
  failWeights({"tensor '", shortened(tensor.name), "' of the file has dtype ", tensor.dtype,
               ", which has no conversion to float32"});
}

template void decodeNumbers(const StoredTensor&, std::span<float>);

}  // namespace cross_attention::weights
