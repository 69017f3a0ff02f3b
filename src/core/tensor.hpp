#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "core/buffer.hpp"
#include "core/shape.hpp"

namespace cross_attention {

/// A dense row-major tensor whose type of elements others know. Copies share their elements.
class AnyTensor {
 public:
  /// Uninitialised elements.
  AnyTensor(Shape shape, std::size_t elementBytes)
      : shape_(shape), memory_(std::make_shared<memory::Piece>(shape.size(), elementBytes)) {}
  /// Elements from byte `offset` on of memory that others use, too; null: none at all.
  AnyTensor(Shape shape, std::shared_ptr<memory::Piece> memory, Index offset)
      : shape_(shape), memory_(std::move(memory)), offset_(offset) {}

  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  Index size() const { return shape_.size(); }
  /// Whether other tensors have these elements, too.
  bool isShared() const { return memory_.use_count() > 1; }

  void* elements() const { return static_cast<std::byte*>(memory_->data()) + offset_; }

 protected:
  Shape shape_;

 private:
  std::shared_ptr<memory::Piece> memory_;
  Index offset_ = 0;
};

/// The same of elements of T. clone() copies them; reshaped ones share them.
template <class T>
class Tensor : public AnyTensor {
 public:
  /// No elements: shape [0].
  Tensor() : Tensor(Shape{0}) {}
  /// Uninitialised elements.
  explicit Tensor(Shape shape) : AnyTensor(shape, sizeof(T)) {}
  /// A tensor of such elements.
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

  /// The same elements under another shape; one dimension may be -1. Throws kShape where the sizes differ.
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
