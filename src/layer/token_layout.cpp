#include "layer/token_layout.hpp"

namespace cross_attention::layer {

std::optional<TokenLayout> TokenLayout::ofInput(const Shape& shape, Index channels) {
  if (shape.rank() == 4 && shape[1] == channels) {
    return TokenLayout{shape, shape[0], shape[2] * shape[3], channels, true};
  }
  return ofContext(shape, channels);
}

std::optional<TokenLayout> TokenLayout::ofContext(const Shape& shape, Index channels) {
  if (shape.rank() == 3 && shape[2] == channels) {
    return TokenLayout{shape, shape[0], shape[1], channels, false};
  }
  if (shape.rank() == 2 && shape[1] == channels) return TokenLayout{shape, 1, shape[0], channels, false};
  return std::nullopt;
}

}  // namespace cross_attention::layer
