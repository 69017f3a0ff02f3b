#include "core/tensor.hpp"

#include <emscripten/bind.h>

#include "core/random.hpp"
#include "embind/arrays.hpp"
#include "embind/errors.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::val;

template <class T>
Tensor<T> uninitialized(const val& shape) {
  return guarded([&] { return Tensor<T>(Shape::checked(toDimensions(shape), "shape")); });
}

template <class T>
Tensor<T> full(const val& shape, double value) {
  return guarded([&] {
    return Tensor<T>::full(Shape::checked(toDimensions(shape), "shape"), static_cast<T>(value));
  });
}

template <class T>
Tensor<T> randomNormal(const val& shape, double seed, double mean, double deviation) {
  return guarded([&] {
    Tensor<T> tensor(Shape::checked(toDimensions(shape), "shape"));
    Random random(static_cast<std::uint64_t>(seed));
    for (T& value : tensor) value = static_cast<T>(mean + deviation * random.normal());
    return tensor;
  });
}

template <class T>
Tensor<T> reshaped(const Tensor<T>& tensor, const val& shape) {
  return guarded([&] { return tensor.reshaped(toDimensions(shape)); });
}

template <class T>
Tensor<T> cloned(const Tensor<T>& tensor) {
  return guarded([&] { return tensor.clone(); });
}

template <class T>
val shapeOf(const Tensor<T>& tensor) {
  return toArray(tensor.shape());
}

template <class T>
val viewOf(Tensor<T>& tensor) {
  return val(emscripten::typed_memory_view(static_cast<std::size_t>(tensor.size()), tensor.data()));
}

template <class T>
void bindTensor(const char* name) {
  emscripten::class_<Tensor<T>>(name)
      .class_function("uninitialized", &uninitialized<T>)
      .class_function("full", &full<T>)
      .class_function("randomNormal", &randomNormal<T>)
      .function("shape", &shapeOf<T>)
      .function("view", &viewOf<T>)
      .function("reshaped", &reshaped<T>)
      .function("clone", &cloned<T>);
}

}  // namespace

EMSCRIPTEN_BINDINGS(tensor) {
  bindTensor<float>("TensorFloat32");
  bindTensor<double>("TensorFloat64");
}

}  // namespace cross_attention::embind
