#include "operators/modulation.hpp"

#include "operators/rows.hpp"

namespace cross_attention::operators {

namespace {

/// Calls work(batchRow, offset) for each token, with the offset of its features in [batch, tokens, features].
template <class Work>
void forTokensOfBatch(const Shape& shape, Work work) {
  const Index tokens = shape[1];
  const Index features = shape[2];
  forRowBlocks(shape[0], 1, [=](Index batchRow, Index) {
    for (Index token = 0; token < tokens; ++token) {
      work(batchRow, (batchRow * tokens + token) * features);
    }
  });
}

/// Returns the elements of the modulation per batch row.
template <class T>
Index batchStride(const Tensor<T>& modulation) {
  return modulation.shape()[1] * modulation.shape()[2];
}

}  // namespace

template <class T>
Tensor<T> Modulate<T>::forward(const Tensor<T>& input, const Tensor<T>& modulation, bool saveForBackward) {
  const Index features = featuresOf(input);
  Tensor<T> output(input.shape());
  const T* x = input.data();
  const T* shifts = modulation.data() + shiftPart_ * features;
  const Index stride = batchStride(modulation);
  T* y = output.data();
  forTokensOfBatch(input.shape(), [=](Index batchRow, Index offset) {
    const T* shift = shifts + batchRow * stride;
    const T* scale = shift + features;
    for (Index i = 0; i < features; ++i) {
      y[offset + i] = x[offset + i] * (T(1) + scale[i]) + shift[i];
    }
  });
  input_ = saveForBackward ? input : Tensor<T>();
  modulation_ = saveForBackward ? modulation : Tensor<T>();
  return output;
}

template <class T>
Tensor<T> Modulate<T>::backward(const Tensor<T>& outputGradient, Tensor<T>& modulationGradient) {
  const Index features = featuresOf(input_);
  Tensor<T> gradient(input_.shape());
  const T* x = input_.data();
  const T* dy = outputGradient.data();
  const T* scales = modulation_.data() + (shiftPart_ + 1) * features;
  T* shiftGradients = modulationGradient.data() + shiftPart_ * features;
  const Index stride = batchStride(modulation_);
  T* dx = gradient.data();
  forTokensOfBatch(input_.shape(), [=](Index batchRow, Index offset) {
    const T* scale = scales + batchRow * stride;
    T* shiftGradient = shiftGradients + batchRow * stride;
    T* scaleGradient = shiftGradient + features;
    for (Index i = 0; i < features; ++i) {
      const T gradientValue = dy[offset + i];
      dx[offset + i] = gradientValue * (T(1) + scale[i]);
      shiftGradient[i] += gradientValue;
      scaleGradient[i] += gradientValue * x[offset + i];
    }
  });
  return gradient;
}

template <class T>
Tensor<T> GatedSum<T>::forward(const Tensor<T>& input, const Tensor<T>& branch, const Tensor<T>& modulation,
                               bool saveForBackward) {
  const Index features = featuresOf(input);
  Tensor<T> output(input.shape());
  const T* x = input.data();
  const T* values = branch.data();
  const T* gates = modulation.data() + gatePart_ * features;
  const Index stride = batchStride(modulation);
  T* y = output.data();
  forTokensOfBatch(input.shape(), [=](Index batchRow, Index offset) {
    const T* gate = gates + batchRow * stride;
    for (Index i = 0; i < features; ++i) {
      y[offset + i] = x[offset + i] + gate[i] * values[offset + i];
    }
  });
  branch_ = saveForBackward ? branch : Tensor<T>();
  modulation_ = saveForBackward ? modulation : Tensor<T>();
  return output;
}

template <class T>
Tensor<T> GatedSum<T>::backward(const Tensor<T>& outputGradient, Tensor<T>& modulationGradient) {
  const Index features = featuresOf(branch_);
  Tensor<T> gradient(branch_.shape());
  const T* values = branch_.data();
  const T* dy = outputGradient.data();
  const T* gates = modulation_.data() + gatePart_ * features;
  T* gateGradients = modulationGradient.data() + gatePart_ * features;
  const Index stride = batchStride(modulation_);
  T* dBranch = gradient.data();
  forTokensOfBatch(branch_.shape(), [=](Index batchRow, Index offset) {
    const T* gate = gates + batchRow * stride;
    T* gateGradient = gateGradients + batchRow * stride;
    for (Index i = 0; i < features; ++i) {
      dBranch[offset + i] = gate[i] * dy[offset + i];
      gateGradient[i] += values[offset + i] * dy[offset + i];
    }
  });
  return gradient;
}

template class Modulate<float>;
template class Modulate<double>;
template class GatedSum<float>;
template class GatedSum<double>;

}  // namespace cross_attention::operators
