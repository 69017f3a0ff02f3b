#include "layer/token_layout.hpp"

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::layer {

TokenLayout TokenLayout::ofInput(const Shape& shape, Index channels, const char* argument) {
  const bool image = shape.rank() == 4 && shape[1] == channels;
  const bool batches = shape.rank() == 3 && shape[2] == channels;
  const bool single = shape.rank() == 2 && shape[1] == channels;
  if (image) return {shape, shape[0], shape[2] * shape[3], channels, true};
  if (batches) return {shape, shape[0], shape[1], channels, false};
  if (single) return {shape, 1, shape[0], channels, false};
  failShape({argument, " has shape ", shape,
             "; it takes [B, C, H, W], [B, N, C] or [N, C] with C = queryDim = ", channels});
}

TokenLayout TokenLayout::ofContext(const Shape& shape, Index channels) {
  const bool batches = shape.rank() == 3 && shape[2] == channels;
  const bool single = shape.rank() == 2 && shape[1] == channels;
  if (batches) return {shape, shape[0], shape[1], channels, false};
  if (single) return {shape, 1, shape[0], channels, false};
  failShape({"context has shape ", shape,
             "; it takes [B | 1, L, D] or [L, D] with D = contextDim = ", channels});
}

}  // namespace cross_attention::layer
