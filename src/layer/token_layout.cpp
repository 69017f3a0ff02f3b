#include "layer/token_layout.hpp"

#include <cstdint>
#include <vector>

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

TokenLayout TokenLayout::withChannels(Index count) const {
  std::vector<std::int64_t> dimensions(shape.begin(), shape.end());
  dimensions[static_cast<std::size_t>(channelsFirst ? 1 : shape.rank() - 1)] = count;
  return {Shape::checked(dimensions, "shape of the output"), batch, tokens, count, channelsFirst};
}

}  // namespace cross_attention::layer
