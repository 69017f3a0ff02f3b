#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"
#include "layer/forward_pass.hpp"

namespace cross_attention::layer {

namespace {

void checkContext(const Configuration& configuration, const TokenLayout& input,
                  const Shape* context) {
  if (context == nullptr) {
    if (configuration.contextDim == configuration.queryDim) return;
    failShape({"context is null; self-attention takes contextDim = queryDim, but contextDim is ",
               configuration.contextDim, " and queryDim is ", configuration.queryDim});
  }
  const TokenLayout layout = TokenLayout::ofContext(*context, configuration.contextDim);
  if (layout.batch != 1 && layout.batch != input.batch) {
    failShape({"context has shape ", *context, "; its batch takes 1 or that of the input ",
               input.shape, ", which is ", input.batch});
  }
}

void checkKeyMask(const KeyMask& mask, Index batch, Index length) {
  if ((mask.batch == 1 || mask.batch == batch) && mask.length == length) return;
  failShape({"mask has shape [", mask.batch, ", ", mask.length, "]; it takes [", batch, " or 1, ",
             length, "]"});
}

void checkAdditiveMask(const Shape& mask, const Shape& full) {
  bool fits = mask[3] == full[3];
  for (int axis = 0; axis < 3; ++axis) fits = fits && (mask[axis] == 1 || mask[axis] == full[axis]);
  if (fits) return;
  failShape(
      {"mask has shape ", mask, "; it takes ", full, " or 1 in place of each of the first three"});
}

}  // namespace

template <class T>
Arguments<T> Arguments<T>::check(const Configuration& configuration, const Tensor<T>& input,
                                 const Tensor<T>* context, const Mask<T>& mask) {
  const TokenLayout layout = TokenLayout::ofInput(input.shape(), configuration.queryDim, "input");
  checkContext(configuration, layout, context == nullptr ? nullptr : &context->shape());
  Context<T> source = context == nullptr
                          ? Context<T>{input, layout, true}
                          : Context<T>{*context, TokenLayout::ofContext(context->shape(),
                                                                        configuration.contextDim)};
  const Index length = source.layout.tokens;
  if (mask.keys) checkKeyMask(*mask.keys, layout.batch, length);
  if (mask.additive) {
    checkAdditiveMask(mask.additive->shape(),
                      Shape{layout.batch, configuration.numHeads, layout.tokens, length});
  }
  return {input, layout, std::move(source), mask};
}

template <class T>
attention::HeadMask<T> Arguments<T>::headMask(Index batchRow, Index head) const {
  if (!mask.additive) return {};
  const Shape& shape = mask.additive->shape();
  const Index batchOffset = shape[0] == 1 ? 0 : batchRow * shape[1] * shape[2] * shape[3];
  return {mask.additive->data() + batchOffset + head * maskHeadStride(),
          shape[2] == 1 ? 0 : shape[3]};
}

template <class T>
Index Arguments<T>::maskHeadStride() const {
  if (!mask.additive || mask.additive->shape()[1] == 1) return 0;
  return mask.additive->shape()[2] * mask.additive->shape()[3];
}

template <class T>
bool Arguments<T>::foldsContext(const Configuration& configuration) const {
  if (context.isInput) return false;
  Index keys = context.layout.tokens;
  Index sets = context.layout.batch;
  if (mask.keys) {
    sets = std::max(sets, mask.keys->batch);
    keys = 0;
    for (const auto& row : mask.keys->attended) {
      keys = std::max(keys, static_cast<Index>(row.size()));
    }
  }
  const Index rowsOfSet = sets == 1 ? layout.batch : 1;
  return layer::foldsContext<T>(configuration, rowsOfSet * layout.tokens, keys);
}

template <class T>
std::array<NamedShape, 3> Arguments<T>::shapes() const {
  const NamedShape source = context.isInput ? NamedShape{"self-attention", {}}
                                            : NamedShape{"context", context.tensor.shape()};
  NamedShape masked;
  if (mask.keys) masked = {"key mask", Shape{mask.keys->batch, mask.keys->length}};
  if (mask.additive) masked = {"additive mask", mask.additive->shape()};
  return {NamedShape{"input", input.shape()}, source, masked};
}

template struct Arguments<float>;
template struct Arguments<double>;

}  // namespace cross_attention::layer
