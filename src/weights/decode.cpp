#include "core/error.hpp"
#include "core/text.hpp"
#include "weights/decoding.hpp"
#include "weights/half.hpp"

namespace cross_attention::weights {

template <class T>
bool decodeFloats(const StoredTensor& tensor, std::span<T> values) {
  const auto same = [](auto value) { return value; };
  if (tensor.dtype == "F32") {
    decodeAs<float>(tensor.bytes, values, same);
  } else if (tensor.dtype == "F64") {
    decodeAs<double>(tensor.bytes, values, same);
  } else if (tensor.dtype == "F16") {
    decodeAs<std::uint16_t>(tensor.bytes, values, fromHalf);
  } else if (tensor.dtype == "BF16") {
    decodeAs<std::uint16_t>(tensor.bytes, values, fromBfloat);
  } else if (tensor.dtype == "F8_E4M3") {
    decodeAs<std::uint8_t>(tensor.bytes, values, fromFloat8E4M3);
  } else if (tensor.dtype == "F8_E5M2") {
    decodeAs<std::uint8_t>(tensor.bytes, values, fromFloat8E5M2);
  } else {
    return false;
  }
  return true;
}

template <class T>
void decode(const StoredTensor& tensor, std::span<T> values) {
  if (decodeFloats(tensor, values)) return;
  failWeights({"tensor '", shortened(tensor.name), "' of the file has dtype ", tensor.dtype,
               "; expected F64, F32, F16, BF16, F8_E4M3 or F8_E5M2 for a parameter"});
}

template bool decodeFloats(const StoredTensor&, std::span<float>);
template bool decodeFloats(const StoredTensor&, std::span<double>);
template void decode(const StoredTensor&, std::span<float>);
template void decode(const StoredTensor&, std::span<double>);

}  // namespace cross_attention::weights
