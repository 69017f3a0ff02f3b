#include "layer/mask.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "core/error.hpp"
#include "layer/call_check.hpp"

namespace cross_attention::layer {

namespace {

/// Throws kArgument unless `value` is 1 or 0.
bool attends(double value) {
  if (value != 0 && value != 1) {
    failArgument({"mask contains ", value, "; expected 1 (attend) or 0 (ignore)"});
  }
  return value == 1;
}

template <class U>
std::shared_ptr<const KeyMask> readKeyMask(const Tensor<U>& tensor, Index batch, Index length) {
  auto mask = std::make_shared<KeyMask>();
  mask->batch = batch;
  mask->length = length;
  mask->attended.resize(static_cast<std::size_t>(batch));
  const U* value = tensor.data();
  for (auto& row : mask->attended) {
    for (Index key = 0; key < length; ++key) {
      if (attends(static_cast<double>(*value++))) row.push_back(key);
    }
  }
  return mask;
}

template <class T, class U>
Tensor<T> toAdditive(const Tensor<U>& tensor) {
  Tensor<T> additive(tensor.shape());
  std::transform(tensor.begin(), tensor.end(), additive.begin(), [](U value) {
    return attends(static_cast<double>(value)) ? T(0) : -std::numeric_limits<T>::infinity();
  });
  return additive;
}

}  // namespace

Index KeyMask::maxKeys() const {
  Index keys = 0;
  for (const auto& list : attended) keys = std::max(keys, static_cast<Index>(list.size()));
  return keys;
}

template <class T>
template <class U>
Mask<T> Mask<T>::from(const Tensor<U>& tensor, MaskElements elements) {
  const Shape& shape = tensor.shape();
  const bool isBoolean = elements == MaskElements::kBoolean;
  if (!isBoolean || shape.rank() != 1) checkMaskRank(shape);
  Mask mask;
  mask.givenShape = shape;
  if (shape.rank() == 1) {
    mask.givenShape = Shape{1, shape[0]};
    mask.keys = readKeyMask(tensor, 1, shape[0]);
    return mask;
  }
  const Index length = shape[shape.rank() - 1];
  bool sharesRow = shape.rank() == 2 || isBoolean;
  for (int axis = 1; axis < shape.rank() - 1; ++axis) sharesRow = sharesRow && shape[axis] == 1;
  if (sharesRow) {
    mask.keys = readKeyMask(tensor, shape[0], length);
    return mask;
  }
  if (isBoolean) {
    mask.additive = toAdditive<T>(tensor);
  } else if constexpr (std::is_same_v<T, U>) {
    mask.additive = tensor;
  } else {
    failArgument({"mask is additive and has another dtype than the layer; expected the layer's dtype"});
  }
  if (shape.rank() == 3) mask.additive = mask.additive->reshaped({shape[0], 1, shape[1], length});
  return mask;
}

template <class T>
std::optional<Shape> Mask<T>::shape() const {
  if (givenShape) return givenShape;
  if (keys) return Shape{keys->batch, keys->length};
  if (additive) return additive->shape();
  return std::nullopt;
}

#define CROSS_ATTENTION_INSTANTIATE(T)                                \
  template struct Mask<T>;                                            \
  template Mask<T> Mask<T>::from(const Tensor<float>&, MaskElements); \
  template Mask<T> Mask<T>::from(const Tensor<double>&, MaskElements);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::layer
