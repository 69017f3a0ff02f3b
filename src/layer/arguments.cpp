#include "layer/arguments.hpp"

#include <algorithm>
#include <limits>

#include "layer/call_check.hpp"
#include "layer/cost.hpp"

namespace cross_attention::layer {

template <class T>
Arguments<T> Arguments<T>::check(const Configuration& configuration, const Tensor<T>& input,
                                 const Tensor<T>* context, const Mask<T>& mask) {
  const std::optional<Shape> maskShape = mask.shape();
  const CallLayout layout = checkCall(configuration, input.shape(), context ? &context->shape() : nullptr,
                                      maskShape ? &*maskShape : nullptr);
  return {input, layout.input, layout.output,
          Context<T>{context ? *context : input, layout.context, context == nullptr}, mask};
}

template <class T>
attention::HeadMask<T> Arguments<T>::headMask(Index batchRow, Index head) const {
  attention::HeadMask<T> result;
  if (mask.causal) {
    result.causal.first = context.layout.tokens - layout.tokens + 1;
    if (mask.keys) {
      const std::vector<Index>& attended = mask.keys->row(batchRow);
      result.causal.indices = attended.data();
      result.causal.count = static_cast<Index>(attended.size());
    }
  }
  if (!mask.additive) return result;
  const Shape& shape = mask.additive->shape();
  const Index batchOffset = shape[0] == 1 ? 0 : batchRow * shape[1] * shape[2] * shape[3];
  result.data = mask.additive->data() + batchOffset + head * maskHeadStride();
  result.tokenStride = shape[2] == 1 ? 0 : shape[3];
  return result;
}

template <class T>
bool Arguments<T>::hidesKey(Index kvBatch, bool isShared, Index key) const {
  const Shape& shape = mask.additive->shape();
  const Index rows = shape[1] * shape[2];
  const bool hasOneBatch = shape[0] == 1;
  const Index begin = isShared || hasOneBatch ? 0 : kvBatch * rows;
  const Index end = isShared && !hasOneBatch ? shape[0] * rows : begin + rows;
  for (Index row = begin; row < end; ++row) {
    if (mask.additive->data()[row * shape[3] + key] != -std::numeric_limits<T>::infinity()) return false;
  }
  return true;
}

template <class T>
Index Arguments<T>::maskHeadStride() const {
  if (!mask.additive || mask.additive->shape()[1] == 1) return 0;
  return mask.additive->shape()[2] * mask.additive->shape()[3];
}

template <class T>
bool Arguments<T>::foldsContext(const Configuration& configuration) const {
  // Folding would compute what is above the diagonal.
  if (context.isInput || mask.causal) return false;
  Index keys = context.layout.tokens;
  Index kvBatches = context.layout.batch;
  if (mask.keys) {
    kvBatches = std::max(kvBatches, mask.keys->batch);
    keys = mask.keys->maxKeys();
  }
  const Index rowsPerContext = kvBatches == 1 ? layout.batch : 1;
  return layer::foldsContext<T>(configuration, rowsPerContext * layout.tokens, keys);
}

template <class T>
std::array<NamedShape, 3> Arguments<T>::shapes() const {
  const NamedShape source =
      context.isInput ? NamedShape{"self-attention", {}} : NamedShape{"context", context.tensor.shape()};
  NamedShape masked;
  if (const std::optional<Shape> shape = mask.shape()) {
    masked = {mask.keys ? "key mask" : "additive mask", *shape};
  }
  return {NamedShape{"input", input.shape()}, source, masked};
}

template struct Arguments<float>;
template struct Arguments<double>;

}  // namespace cross_attention::layer
