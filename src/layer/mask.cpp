#include "layer/mask.hpp"

#include <string>
#include <type_traits>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::layer {

namespace {

template <class U>
std::shared_ptr<const KeyMask> readKeyMask(const Tensor<U>& tensor) {
  auto mask = std::make_shared<KeyMask>();
  mask->batch = tensor.shape()[0];
  mask->length = tensor.shape()[1];
  mask->attended.resize(static_cast<std::size_t>(mask->batch));
  for (Index row = 0; row < mask->batch; ++row) {
    for (Index key = 0; key < mask->length; ++key) {
      const U value = tensor.data()[row * mask->length + key];
      if (value == U(1)) {
        mask->attended[static_cast<std::size_t>(row)].push_back(key);
      } else if (value != U(0)) {
        failArgument({"mask [B, L] holds ", static_cast<double>(value),
                      "; a key mask takes 1 (attend) and 0 (ignore)"});
      }
    }
  }
  return mask;
}

}  // namespace

template <class T>
template <class U>
Mask<T> Mask<T>::from(const Tensor<U>& tensor) {
  Mask mask;
  if (tensor.rank() == 2) {
    mask.keys = readKeyMask(tensor);
  } else if (tensor.rank() == 4) {
    if constexpr (std::is_same_v<T, U>) {
      mask.additive = tensor;
    } else {
      failArgument({"mask is of another dtype than the layer; an additive mask takes the layer's"});
    }
  } else {
    failShape(
        {"mask has shape ", tensor.shape(),
         "; it takes a key mask [B | 1, L] or an additive mask [B | 1, heads | 1, N | 1, L]"});
  }
  return mask;
}

#define CROSS_ATTENTION_INSTANTIATE(T)                  \
  template struct Mask<T>;                              \
  template Mask<T> Mask<T>::from(const Tensor<float>&); \
  template Mask<T> Mask<T>::from(const Tensor<double>&);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::layer
