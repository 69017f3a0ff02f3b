#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>

namespace cross_attention::graph {

/// At most kMost values, in place: graphs are full of such lists. A vector instead of each would be copied and destroyed by
/// code of its own wherever an error may pass, which was half of the compiler's size.
template <class T, std::size_t kMost>
class ShortList {
 public:
  ShortList() = default;
  constexpr ShortList(std::initializer_list<T> values) {
    for (const T& value : values) push_back(value);
  }

  // As a vector calls it.
  // NOLINTNEXTLINE(readability-identifier-naming)
  constexpr void push_back(const T& value) { values_[size_++] = value; }

  constexpr std::size_t size() const { return size_; }
  constexpr T& operator[](std::size_t place) { return values_[place]; }
  constexpr const T& operator[](std::size_t place) const { return values_[place]; }
  constexpr T* begin() { return values_.data(); }
  constexpr T* end() { return values_.data() + size_; }
  constexpr const T* begin() const { return values_.data(); }
  constexpr const T* end() const { return values_.data() + size_; }
  constexpr const T& front() const { return values_[0]; }
  constexpr const T& back() const { return values_[size_ - 1]; }
  bool operator==(const ShortList& other) const = default;

 private:
  std::array<T, kMost> values_{};
  std::size_t size_ = 0;
};

}  // namespace cross_attention::graph
