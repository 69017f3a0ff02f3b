#include "layer/mask.hpp"

#include <algorithm>
#include <type_traits>

#include "core/error.hpp"
#include "layer/call_check.hpp"

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
        failArgument(
            {"mask [B, L] contains ", static_cast<double>(value), "; expected 1 (attend) or 0 (ignore)"});
      }
    }
  }
  return mask;
}

}  // namespace

Index KeyMask::maxKeys() const {
  Index keys = 0;
  for (const auto& list : attended) keys = std::max(keys, static_cast<Index>(list.size()));
  return keys;
}

template <class T>
template <class U>
Mask<T> Mask<T>::from(const Tensor<U>& tensor) {
  checkMaskRank(tensor.shape());
  Mask mask;
  if (tensor.rank() == 2) {
    mask.keys = readKeyMask(tensor);
  } else if constexpr (std::is_same_v<T, U>) {
    mask.additive = tensor;
  } else {
    failArgument({"mask [B, heads, N, L] has another dtype than the layer; expected the layer's dtype"});
  }
  return mask;
}

template <class T>
std::optional<Shape> Mask<T>::shape() const {
  if (keys) return Shape{keys->batch, keys->length};
  if (additive) return additive->shape();
  return std::nullopt;
}

#define CROSS_ATTENTION_INSTANTIATE(T)                  \
  template struct Mask<T>;                              \
  template Mask<T> Mask<T>::from(const Tensor<float>&); \
  template Mask<T> Mask<T>::from(const Tensor<double>&);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::layer
