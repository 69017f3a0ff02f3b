#include "layer/call_check.hpp"

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::layer {

namespace {

TokenLayout checkInput(const Configuration& configuration, const Shape& input) {
  const std::optional<TokenLayout> layout = TokenLayout::ofInput(input, configuration.queryDim);
  if (layout) return *layout;
  failShape({"input has shape ", input,
             "; expected [B, C, H, W], [B, N, C] or [N, C] with C = queryDim = ", configuration.queryDim});
}

TokenLayout checkContext(const Configuration& configuration, const TokenLayout& input, const Shape* context) {
  if (context == nullptr) {
    if (configuration.contextDim == configuration.queryDim) return input;
    failShape({"context is null, and contextDim is ", configuration.contextDim,
               "; expected a context, or a layer with contextDim = queryDim (", configuration.queryDim,
               ") for self-attention"});
  }
  const std::optional<TokenLayout> layout = TokenLayout::ofContext(*context, configuration.contextDim);
  if (!layout) {
    failShape({"context has shape ", *context,
               "; expected [B, L, D] or [L, D] with D = contextDim = ", configuration.contextDim});
  }
  if (layout->batch != 1 && layout->batch != input.batch) {
    failShape({"context has shape ", *context, "; expected a batch of 1 or that of the input ", input.shape,
               ", which is ", input.batch});
  }
  return *layout;
}

/// `full`: [B, heads, N, L] of the call.
bool maskFits(const Shape& mask, const Shape& full) {
  // The axes of `full` that a mask of rank 2, 3 and 4 has.
  constexpr int kAxes[3][4] = {{0, 3}, {0, 2, 3}, {0, 1, 2, 3}};
  const int last = mask.rank() - 1;
  for (int axis = 0; axis < last; ++axis) {
    if (mask[axis] != 1 && mask[axis] != full[kAxes[last - 1][axis]]) return false;
  }
  return mask[last] == full[3];
}

constexpr const char* kExpectedMask =
    "; expected a key mask [B, L] or an additive mask [B, N, L] or [B, heads, N, L] (all sizes except L may "
    "be 1)";

}  // namespace

CallLayout checkCall(const Configuration& configuration, const Shape& input, const Shape* context,
                     const Shape* mask) {
  CallLayout layout;
  layout.input = checkInput(configuration, input);
  layout.context = checkContext(configuration, layout.input, context);
  layout.output = layout.input.withChannels(configuration.outputDim());
  if (mask == nullptr) return layout;
  checkMaskRank(*mask);
  const Shape full{layout.input.batch, configuration.numHeads, layout.input.tokens, layout.context.tokens};
  if (!maskFits(*mask, full)) {
    failShape({"mask has shape ", *mask, kExpectedMask, " with [B, heads, N, L] = ", full});
  }
  return layout;
}

void checkOutputGradient(const Shape& outputGradient, const Shape& output) {
  if (outputGradient == output) return;
  failShape({"outputGradient has shape ", outputGradient,
             "; expected the shape of the last training forward pass's output, ", output});
}

void checkMaskRank(const Shape& mask) {
  if (mask.rank() >= 2 && mask.rank() <= 4) return;
  failShape({"mask has shape ", mask, kExpectedMask});
}

}  // namespace cross_attention::layer
