#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "core/buffer.hpp"
#include "core/shape.hpp"

namespace cross_attention {

/// A dense row-major tensor whose element type is known from elsewhere. Copies share their elements.
class AnyTensor {
 public:
  /// Creates a tensor with uninitialized elements.
  AnyTensor(Shape shape, std::size_t elementBytes)
      : shape_(shape), memory_(std::make_shared<memory::Allocation>(shape.size(), elementBytes)) {}
  /// Creates a tensor over existing memory, beginning at byte `offset`. Null memory: the tensor has no
  /// elements.
  AnyTensor(Shape shape, std::shared_ptr<memory::Allocation> memory, Index offset)
      : shape_(shape), memory_(std::move(memory)), offset_(offset) {}

  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  Index size() const { return shape_.size(); }
  /// True if other tensors share these elements.
  bool isShared() const { return memory_.use_count() > 1; }

  void* elements() const { return static_cast<std::byte*>(memory_->data()) + offset_; }

 protected:
  Shape shape_;

 private:
  std::shared_ptr<memory::Allocation> memory_;
  Index offset_ = 0;
};

/// A tensor of T. clone() copies the elements; reshaped() shares them.
template <class T>
class Tensor : public AnyTensor {
 public:
  /// An empty tensor of shape [0].
  Tensor() : Tensor(Shape{0}) {}
  /// Creates a tensor with uninitialized elements.
  explicit Tensor(Shape shape) : AnyTensor(shape, sizeof(T)) {}
  /// Requires that the elements of `tensor` are of type T.
  explicit Tensor(const AnyTensor& tensor) : AnyTensor(tensor) {}

  static Tensor full(Shape shape, T value) {
    Tensor tensor(shape);
    std::fill(tensor.begin(), tensor.end(), value);
    return tensor;
  }
  static Tensor zeros(Shape shape) { return full(shape, T(0)); }

  T* data() { return static_cast<T*>(elements()); }
  const T* data() const { return static_cast<const T*>(elements()); }
  T* begin() { return data(); }
  T* end() { return data() + size(); }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size(); }

  /// Returns a tensor of another shape that shares the elements; one dimension may be -1. Throws kShape if
  /// the sizes differ.
  Tensor reshaped(const std::vector<std::int64_t>& dimensions) const {
    Tensor tensor = *this;
    tensor.shape_ = resolveReshape(dimensions, size());
    return tensor;
  }
  Tensor clone() const {
    Tensor copy(shape_);
    std::copy(begin(), end(), copy.begin());
    return copy;
  }
};

}  // namespace cross_attention
