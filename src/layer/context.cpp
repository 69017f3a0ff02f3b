#include "layer/context.hpp"

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace cross_attention::layer {

template <class T>
bool isFinite(linalg::MatrixView<const T> matrix) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits kExponent = std::bit_cast<Bits>(std::numeric_limits<T>::infinity());
  // In the order of memory: rows of an image's tokens are far apart.
  if (matrix.columnStride > matrix.rowStride) matrix = matrix.transposed();
  bool isFinite = true;
  for (Index row = 0; row < matrix.rows; ++row) {
    for (Index column = 0; column < matrix.columns; ++column) {
      isFinite &= (std::bit_cast<Bits>(*matrix.at(row, column)) & kExponent) != kExponent;
    }
  }
  return isFinite;
}

template bool isFinite(linalg::MatrixView<const float>);
template bool isFinite(linalg::MatrixView<const double>);

}  // namespace cross_attention::layer
