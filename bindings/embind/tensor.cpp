#include "core/tensor.hpp"

#include <emscripten/bind.h>

#include "core/random.hpp"
#include "embind/arrays.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::allow_raw_pointers;
using emscripten::val;

// The caller owns returned pointers: JavaScript deletes them.

template <class T>
Tensor<T>* uninitialized(const val& shape) {
  return new Tensor<T>(Shape::checked(toDimensions(shape), "shape"));
}

template <class T>
void fill(Tensor<T>& tensor, double value) {
  std::fill(tensor.begin(), tensor.end(), static_cast<T>(value));
}

template <class T>
void fillRandomNormal(Tensor<T>& tensor, double seed, double mean, double deviation) {
  Random random(static_cast<std::uint64_t>(seed));
  for (T& value : tensor) value = static_cast<T>(mean + deviation * random.normal());
}

template <class T>
Tensor<T>* reshaped(const Tensor<T>& tensor, const val& shape) {
  return new Tensor<T>(tensor.reshaped(toDimensions(shape)));
}

template <class T>
Tensor<T>* cloned(const Tensor<T>& tensor) {
  return new Tensor<T>(tensor.clone());
}

template <class T>
val shapeOf(const Tensor<T>& tensor) {
  return toArray(tensor.shape());
}

template <class T>
val viewOf(const Tensor<T>& tensor) {
  return toView(std::span<const T>(tensor.begin(), tensor.end()));
}

template <class T>
void bindTensor(const char* name) {
  emscripten::class_<Tensor<T>>(name)
      .class_function("uninitialized", &uninitialized<T>, allow_raw_pointers())
      .function("fill", &fill<T>)
      .function("fillRandomNormal", &fillRandomNormal<T>)
      .function("shape", &shapeOf<T>)
      .function("view", &viewOf<T>)
      .function("reshaped", &reshaped<T>, allow_raw_pointers())
      .function("clone", &cloned<T>, allow_raw_pointers());
}

}  // namespace

EMSCRIPTEN_BINDINGS(tensor) {
  bindTensor<float>("TensorFloat32");
  bindTensor<double>("TensorFloat64");
}

}  // namespace cross_attention::embind
