#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>

namespace cross_attention::graph {

/// A vector of at most kCapacity values without heap memory, for the many short lists in graphs. Copying and
/// destroying std::vector on every path that may throw made up half of the compiler's code size.
template <class T, std::size_t kCapacity>
class InlineVector {
 public:
  InlineVector() = default;
  constexpr InlineVector(std::initializer_list<T> values) {
    for (const T& value : values) push_back(value);
  }

  // Named as in std::vector.
  // NOLINTNEXTLINE(readability-identifier-naming)
  constexpr void push_back(const T& value) { values_[size_++] = value; }

  constexpr std::size_t size() const { return size_; }
  constexpr T& operator[](std::size_t index) { return values_[index]; }
  constexpr const T& operator[](std::size_t index) const { return values_[index]; }
  constexpr T* begin() { return values_.data(); }
  constexpr T* end() { return values_.data() + size_; }
  constexpr const T* begin() const { return values_.data(); }
  constexpr const T* end() const { return values_.data() + size_; }
  constexpr const T& front() const { return values_[0]; }
  constexpr const T& back() const { return values_[size_ - 1]; }
  bool operator==(const InlineVector& other) const = default;

 private:
  std::array<T, kCapacity> values_{};
  std::size_t size_ = 0;
};

}  // namespace cross_attention::graph
