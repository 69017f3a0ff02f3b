#include "support/layer_case.hpp"

#include <limits>

namespace cross_attention::test {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
std::vector<double> toDouble(std::span<const T> values) {
  return {values.begin(), values.end()};
}

template <class T>
Tensor<T> randomTensor(Random& random, const Shape& shape, double bound) {
  return bound > 0 ? uniformTensor<T>(random, shape, bound) : normalTensor<T>(random, shape);
}

}  // namespace

namespace {

Shape shapeOf(const CaseShape& shape, Index channels) {
  switch (shape.layout) {
    case Layout::kImage:
      return {shape.batch, channels, shape.height, shape.width};
    case Layout::kBatches:
      return {shape.batch, shape.tokens(), channels};
    default:
      return {shape.tokens(), channels};
  }
}

}  // namespace

Shape CaseShape::inputShape() const { return shapeOf(*this, queryDim); }
Shape CaseShape::outputShape() const { return shapeOf(*this, outputDim()); }

std::string CaseShape::describe() const {
  std::string text = "input " + toString(inputShape()) + ", heads " + std::to_string(numHeads);
  text += context ? ", context " + toString(*context) : ", self-attention";
  if (mask) text += ", mask " + toString(*mask);
  if (ignoresWholeRow) text += " with an ignored row";
  if (bound > 0) text += ", values within ± " + std::to_string(bound);
  if (tokenBlock > 0 || keyBlock > 0) {
    text += ", blocks " + std::to_string(tokenBlock) + " × " + std::to_string(keyBlock);
  }
  if (headChannels > 0) text += ", headDim " + std::to_string(headChannels);
  if (outputChannels > 0) text += ", outputDim " + std::to_string(outputChannels);
  if (bias) text += ", biases";
  if (!outputBias) text += ", no output bias";
  if (norm != layer::QueryKeyNorm::kNone) text += ", norm " + std::to_string(static_cast<int>(norm));
  return text + ", seed " + std::to_string(seed);
}

template <class T>
LayerCase<T>::LayerCase(const CaseShape& described)
    : shape(described),
      layer({.queryDim = shape.queryDim,
             .contextDim = shape.contextDim(),
             .numHeads = shape.numHeads,
             .spatialSize = 64,
             .seed = shape.seed,
             .scale = {},
             .tokenBlock = shape.tokenBlock,
             .keyBlock = shape.keyBlock,
             .headChannels = shape.headChannels,
             .outputChannels = shape.outputChannels,
             .bias = shape.bias,
             .outputBias = shape.outputBias,
             .queryKeyNorm = shape.norm}) {
  Random random(shape.seed + 1000);
  input = randomTensor<T>(random, shape.inputShape(), shape.bound);
  if (shape.context) context = randomTensor<T>(random, *shape.context, shape.bound);
  if (shape.mask) {
    maskTensor = randomMask(random);
    mask = layer::Mask<T>::from(*maskTensor);
  }
  outputGradient = normalTensor<T>(random, shape.outputShape());
  for (const layer::ParameterId id : layer.parameters().layout().ids()) {
    const Shape& parameter = layer.parameters().shape(id);
    if (parameter.rank() != 1) continue;
    Tensor<T> values = normalTensor<T>(random, parameter);
    if (id == layer::ParameterId::kQueryNorm || id == layer::ParameterId::kKeyNorm) {
      for (T& value : values) value = T(1) + T(0.3) * value;
    }
    layer.setParameter(layer::nameOf(id), values);
  }
}

template <class T>
Tensor<T> LayerCase<T>::randomMask(Random& random) const {
  Tensor<T> tensor(*shape.mask);
  const bool isKeyMask = shape.mask->rank() == 2;
  for (T& value : tensor) {
    const bool ignores = random.uniform() < 0.3;
    const auto bias = static_cast<T>(shape.maskDeviation * random.normal());
    if (isKeyMask) {
      value = ignores ? T(0) : T(1);
    } else {
      value = ignores ? static_cast<T>(-kInfinity) : bias;
    }
  }
  if (shape.ignoresWholeRow && tensor.size() > 0) {
    const Index length = (*shape.mask)[shape.mask->rank() - 1];
    const Index rows = tensor.size() / length;
    T* row = tensor.data() + between(random, 0, rows - 1) * length;
    std::fill_n(row, length, isKeyMask ? T(0) : static_cast<T>(-kInfinity));
  }
  return tensor;
}

template <class T>
double maskValue(const Tensor<T>& mask, Index batchRow, Index head, Index token, Index key) {
  const Shape& shape = mask.shape();
  const auto along = [&shape](int axis, Index index) { return shape[axis] == 1 ? 0 : index; };
  if (shape.rank() == 2) {
    const bool attends = mask.data()[along(0, batchRow) * shape[1] + key] != T(0);
    return attends ? 0.0 : -kInfinity;
  }
  const Index row = (along(0, batchRow) * shape[1] + along(1, head)) * shape[2] + along(2, token);
  return static_cast<double>(mask.data()[row * shape[3] + key]);
}

template <class T>
Tensor<T> LayerCase<T>::forwardAndBackward() {
  layer.setTraining(true);
  forward();
  return layer.backward(outputGradient);
}

template <class T>
std::vector<T> LayerCase<T>::parameterGradients() const {
  const std::span<const T> gradients = layer.parameters().gradients();
  return {gradients.begin(), gradients.end()};
}

template <class T>
ReferenceLayer LayerCase<T>::reference() const {
  using layer::ParameterId;
  const auto parameter = [this](ParameterId id) { return toDouble<T>(layer.parameters().values(id)); };
  ReferenceLayer result;
  result.batch = shape.layout == Layout::kSingle ? 1 : shape.batch;
  result.tokens = shape.tokens();
  result.queryDim = shape.queryDim;
  result.length = shape.length();
  result.contextDim = shape.contextDim();
  result.numHeads = shape.numHeads;
  result.headDim = layer.configuration().headDim();
  result.outputDim = shape.outputDim();
  result.scale = layer.configuration().softmaxScale();
  result.isSelfAttention = !context;
  result.input = rows(input);
  result.context =
      context ? toDouble<T>({context->data(), static_cast<std::size_t>(context->size())}) : result.input;
  if (!context) {
    result.contextBatch = result.batch;
  } else {
    result.contextBatch = context->rank() == 2 ? 1 : context->shape()[0];
  }
  result.queryWeight = parameter(ParameterId::kQuery);
  result.keyWeight = parameter(ParameterId::kKey);
  result.valueWeight = parameter(ParameterId::kValue);
  result.outputWeight = parameter(ParameterId::kOutput);
  result.outputBias = parameter(ParameterId::kOutputBias);
  result.queryBias = parameter(ParameterId::kQueryBias);
  result.keyBias = parameter(ParameterId::kKeyBias);
  result.valueBias = parameter(ParameterId::kValueBias);
  const auto norm = [&](ParameterId weight, ParameterId bias) {
    return ReferenceNorm{shape.norm == layer::QueryKeyNorm::kLayerNorm, layer.configuration().normEpsilon,
                         parameter(weight), parameter(bias)};
  };
  result.queryNorm = norm(ParameterId::kQueryNorm, ParameterId::kQueryNormBias);
  result.keyNorm = norm(ParameterId::kKeyNorm, ParameterId::kKeyNormBias);
  if (maskTensor) {
    result.mask = [tensor = *maskTensor](Index batchRow, Index head, Index token, Index key) {
      return maskValue(tensor, batchRow, head, token, key);
    };
  }
  return result;
}

template <class T>
std::vector<double> LayerCase<T>::rows(const Tensor<T>& tensor, const std::vector<Index>& chosen) const {
  std::vector<double> result;
  const Index batch = shape.layout == Layout::kSingle ? 1 : shape.batch;
  const Index channels = tensor.shape()[shape.layout == Layout::kImage ? 1 : tensor.rank() - 1];
  for (Index row = 0; row < batch; ++row) {
    const T* values = tensor.data() + row * channels * shape.tokens();
    for (const Index token : chosen) {
      for (Index channel = 0; channel < channels; ++channel) {
        const Index element =
            shape.layout == Layout::kImage ? channel * shape.tokens() + token : token * channels + channel;
        result.push_back(static_cast<double>(values[element]));
      }
    }
  }
  return result;
}

template <class T>
std::vector<double> LayerCase<T>::rows(const Tensor<T>& tensor) const {
  return rows(tensor, allTokens(shape.tokens()));
}

template class LayerCase<float>;
template class LayerCase<double>;
template double maskValue(const Tensor<float>&, Index, Index, Index, Index);
template double maskValue(const Tensor<double>&, Index, Index, Index, Index);

}  // namespace cross_attention::test
