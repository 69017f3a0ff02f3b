#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "core/buffer.hpp"
#include "core/shape.hpp"

namespace cross_attention {

/// A dense row-major tensor. Copies share their elements, as do reshaped ones; clone() copies them.
template <class T>
class Tensor {
 public:
  /// No elements: shape [0].
  Tensor() : Tensor(Shape{0}) {}
  /// Uninitialised elements.
  explicit Tensor(Shape shape)
      : shape_(shape), storage_(std::make_shared<Buffer<T>>(shape.size())) {}
  /// Elements from `offset` on of memory that others use, too.
  Tensor(Shape shape, std::shared_ptr<Buffer<T>> storage, Index offset)
      : shape_(shape), storage_(std::move(storage)), offset_(offset) {}

  static Tensor full(Shape shape, T value) {
    Tensor tensor(shape);
    std::fill(tensor.begin(), tensor.end(), value);
    return tensor;
  }
  static Tensor zeros(Shape shape) {
    Tensor tensor(shape);
    tensor.storage_->clear();
    return tensor;
  }

  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  Index size() const { return shape_.size(); }
  /// Whether other tensors have these elements, too.
  bool isShared() const { return storage_.use_count() > 1; }

  T* data() { return storage_->data() + offset_; }
  const T* data() const { return storage_->data() + offset_; }
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

 private:
  Shape shape_;
  std::shared_ptr<Buffer<T>> storage_;
  Index offset_ = 0;
};

}  // namespace cross_attention
