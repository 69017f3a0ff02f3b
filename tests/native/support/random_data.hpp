#pragma once

#include <vector>

#include "core/random.hpp"
#include "core/tensor.hpp"

namespace cross_attention::test {

template <class T>
Tensor<T> normalTensor(Random& random, const Shape& shape, double deviation = 1) {
  Tensor<T> tensor(shape);
  for (T& value : tensor) value = static_cast<T>(deviation * random.normal());
  return tensor;
}

/// Returns values that are uniform within ± `bound`.
template <class T>
Tensor<T> uniformTensor(Random& random, const Shape& shape, double bound) {
  Tensor<T> tensor(shape);
  for (T& value : tensor) value = static_cast<T>(bound * (2 * random.uniform() - 1));
  return tensor;
}

template <class T>
std::vector<T> normalValues(Random& random, Index count) {
  std::vector<T> all(static_cast<std::size_t>(count));
  for (T& value : all) value = static_cast<T>(random.normal());
  return all;
}

/// Returns integers from -7 to 7. Sums of a few hundred products of two of them are exact in float, in any
/// order.
template <class T>
std::vector<T> smallIntegers(Random& random, Index count) {
  std::vector<T> all(static_cast<std::size_t>(count));
  for (T& value : all) value = static_cast<T>(static_cast<int>(random.next() % 15) - 7);
  return all;
}

/// Returns an integer from `min` to `max`, both included.
inline Index between(Random& random, Index min, Index max) {
  return min + static_cast<Index>(random.next() % static_cast<std::uint64_t>(max - min + 1));
}

template <class Range>
const auto& oneOf(Random& random, const Range& range) {
  return range[random.next() % std::size(range)];
}

}  // namespace cross_attention::test
