#include <emscripten/bind.h>

#include <cmath>

#include "embind/arrays.hpp"
#include "embind/push.hpp"
#include "layer/attention_recorder.hpp"
#include "layer/diffusion_cross_attention.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::allow_raw_pointers;
using emscripten::val;
using layer::DiffusionCrossAttention;
using layer::Mask;
using layer::ParameterId;

// Free functions instead of the layer's methods: Embind generates ten times the code for pointers to members.
// The caller owns returned pointers: JavaScript deletes them.

/// `options`: queryDim, contextDim, numHeads, spatialSize, seed, scale (NaN for the default), blockSizeQ,
/// blockSizeKV, headDim, outputDim, bias, outputBias, queryKeyNorm (0: none, 1: layer_norm, 2: rms_norm),
/// normEpsilon. An array, because Embind generates code for each list of argument types.
template <class T>
DiffusionCrossAttention<T>* create(const val& options) {
  int next = 0;
  const auto number = [&] { return options[next++].as<double>(); };
  const auto index = [&] { return static_cast<Index>(number()); };
  layer::Configuration configuration;
  configuration.queryDim = index();
  configuration.contextDim = index();
  configuration.numHeads = index();
  configuration.spatialSize = index();
  configuration.seed = static_cast<std::uint64_t>(number());
  const double scale = number();
  if (!std::isnan(scale)) configuration.scale = scale;
  configuration.tokenBlock = index();
  configuration.keyBlock = index();
  configuration.headChannels = index();
  configuration.outputChannels = index();
  configuration.bias = number() != 0;
  configuration.outputBias = number() != 0;
  configuration.queryKeyNorm = static_cast<layer::QueryKeyNorm>(index());
  configuration.normEpsilon = number();
  return new DiffusionCrossAttention<T>(configuration);
}

/// JavaScript passes a mask as one of two pointers, depending on its dtype; both are null if there is no
/// mask.
template <class T>
Mask<T> toMask(const Tensor<float>* mask32, const Tensor<double>* mask64, bool isBoolean, bool causal) {
  const auto elements = isBoolean ? layer::MaskElements::kBoolean : layer::MaskElements::kAdditive;
  Mask<T> mask;
  if (mask32 != nullptr) mask = Mask<T>::from(*mask32, elements);
  if (mask64 != nullptr) mask = Mask<T>::from(*mask64, elements);
  mask.causal = causal;
  return mask;
}

/// `recorder`: null if the call is not recorded.
template <class T>
Tensor<T>* forward(DiffusionCrossAttention<T>& layer, const Tensor<T>& input, const Tensor<T>* context,
                   const Tensor<float>* mask32, const Tensor<double>* mask64, bool maskIsBoolean, bool causal,
                   layer::AttentionRecorder* recorder, const std::string& name, bool conditional) {
  return new Tensor<T>(layer.forward(input, context, toMask<T>(mask32, mask64, maskIsBoolean, causal),
                                     {.recorder = recorder, .name = name, .conditional = conditional}));
}

template <class T>
std::shared_ptr<typename DiffusionCrossAttention<T>::PendingForward> startForward(
    DiffusionCrossAttention<T>& layer, const Tensor<T>& input, const Tensor<T>* context,
    const Tensor<float>* mask32, const Tensor<double>* mask64, bool maskIsBoolean, bool causal,
    layer::AttentionRecorder* recorder, const std::string& name, bool conditional) {
  return layer.startForward(input, context, toMask<T>(mask32, mask64, maskIsBoolean, causal),
                            {.recorder = recorder, .name = name, .conditional = conditional});
}

template <class T>
Tensor<T>* backward(DiffusionCrossAttention<T>& layer, const Tensor<T>& outputGradient) {
  return new Tensor<T>(layer.backward(outputGradient));
}

template <class T>
Tensor<T>* contextGradient(DiffusionCrossAttention<T>& layer) {
  return layer.contextGradient() ? new Tensor<T>(*layer.contextGradient()) : nullptr;
}

template <class T>
Tensor<T>* attentionMaps(DiffusionCrossAttention<T>& layer, const Tensor<T>& input, const Tensor<T>* context,
                         const Tensor<float>* mask32, const Tensor<double>* mask64, bool maskIsBoolean,
                         bool causal, bool allHeads) {
  return new Tensor<T>(layer.attentionMaps(input, context, toMask<T>(mask32, mask64, maskIsBoolean, causal),
                                           allHeads ? layer::MapHeads::kAll : layer::MapHeads::kMean));
}

template <class T>
bool training(const DiffusionCrossAttention<T>& layer) {
  return layer.training();
}

template <class T>
void setTraining(DiffusionCrossAttention<T>& layer, bool training) {
  layer.setTraining(training);
}

template <class T>
val parametersView(const DiffusionCrossAttention<T>& layer) {
  return toView(layer.parameters().values());
}

template <class T>
void requireGradients(DiffusionCrossAttention<T>& layer) {
  layer.requireGradients();
}

template <class T>
val gradientsView(const DiffusionCrossAttention<T>& layer) {
  return toView(layer.parameters().gradients());
}

template <class T>
val parameterView(const DiffusionCrossAttention<T>& layer, const std::string& name) {
  const std::optional<ParameterId> id = layer.parameters().layout().find(name);
  return id ? toView(layer.parameters().values(*id)) : val::undefined();
}

template <class T>
val parameterNames(const DiffusionCrossAttention<T>& layer) {
  const val names = val::array();
  for (const ParameterId id : layer.parameters().layout().ids()) push(names, std::string(layer::nameOf(id)));
  return names;
}

template <class T>
val parameterShape(const DiffusionCrossAttention<T>& layer, const std::string& name) {
  const std::optional<ParameterId> id = layer.parameters().layout().find(name);
  return id ? toArray(layer.parameters().shape(*id)) : val::undefined();
}

template <class T>
void setParameters(DiffusionCrossAttention<T>& layer, const Tensor<T>& values) {
  layer.setParameters(std::span<const T>(values.data(), static_cast<std::size_t>(values.size())));
}

template <class T>
bool setParameter(DiffusionCrossAttention<T>& layer, const std::string& name, const Tensor<T>& value) {
  return layer.setParameter(name, value);
}

/// Returns a view of the parameters with LoRAs: of parametersView if none is in effect.
template <class T>
val effectiveView(DiffusionCrossAttention<T>& layer) {
  return toView(layer.effectiveParameters().effective());
}

template <class T>
void addLora(DiffusionCrossAttention<T>& layer) {
  layer.addLora();
}

template <class T>
void addLoraUpdate(DiffusionCrossAttention<T>& layer, const std::string& weight, const Tensor<T>& down,
                   const Tensor<T>& up, double factor) {
  layer.addLoraUpdate({*layer.parameters().layout().find(weight), down, up, factor});
}

template <class T>
void setLoraScales(DiffusionCrossAttention<T>& layer, const val& scales) {
  layer.setLoraScales(emscripten::convertJSArrayToNumberVector<double>(scales));
}

template <class T>
void removeLora(DiffusionCrossAttention<T>& layer, double index) {
  layer.removeLora(static_cast<std::size_t>(index));
}

template <class T>
void mergeLoras(DiffusionCrossAttention<T>& layer) {
  layer.mergeLoras();
}

template <class T>
void clearGradients(DiffusionCrossAttention<T>& layer) {
  layer.clearGradients();
}

template <class T>
void updateParameters(DiffusionCrossAttention<T>& layer, double learningRate) {
  layer.updateParameters(learningRate);
}

template <class T>
void updateParameter(DiffusionCrossAttention<T>& layer, const std::string& name, double learningRate) {
  layer.updateParameter(*layer.parameters().layout().find(name), learningRate);
}

template <class T>
void setTrainable(DiffusionCrossAttention<T>& layer, const std::string& name, bool trainable) {
  layer.setTrainable(*layer.parameters().layout().find(name), trainable);
}

template <class T>
void resetState(DiffusionCrossAttention<T>& layer) {
  layer.resetState();
}

val toObject(const layer::Diagnostics& diagnostics) {
  val result = val::object();
  for (const auto& [name, value] : diagnostics) result.set(name, value);
  return result;
}

template <class T>
val diagnostics(const DiffusionCrossAttention<T>& layer) {
  return toObject(layer.diagnostics());
}

template <class T>
void bindLayer(const char* name) {
  emscripten::class_<DiffusionCrossAttention<T>>(name)
      .class_function("create", &create<T>, allow_raw_pointers())
      .function("forward", &forward<T>, allow_raw_pointers())
      .function("startForward", &startForward<T>, allow_raw_pointers())
      .function("backward", &backward<T>, allow_raw_pointers())
      .function("contextGradient", &contextGradient<T>, allow_raw_pointers())
      .function("attentionMaps", &attentionMaps<T>, allow_raw_pointers())
      .function("training", &training<T>)
      .function("setTraining", &setTraining<T>)
      .function("parametersView", &parametersView<T>)
      .function("requireGradients", &requireGradients<T>)
      .function("gradientsView", &gradientsView<T>)
      .function("parameterView", &parameterView<T>)
      .function("parameterNames", &parameterNames<T>)
      .function("parameterShape", &parameterShape<T>)
      .function("setParameters", &setParameters<T>)
      .function("setParameter", &setParameter<T>)
      .function("effectiveView", &effectiveView<T>)
      .function("addLora", &addLora<T>)
      .function("addLoraUpdate", &addLoraUpdate<T>)
      .function("setLoraScales", &setLoraScales<T>)
      .function("removeLora", &removeLora<T>)
      .function("mergeLoras", &mergeLoras<T>)
      .function("clearGradients", &clearGradients<T>)
      .function("updateParameters", &updateParameters<T>)
      .function("updateParameter", &updateParameter<T>)
      .function("setTrainable", &setTrainable<T>)
      .function("resetState", &resetState<T>)
      .function("diagnostics", &diagnostics<T>);
}

}  // namespace

EMSCRIPTEN_BINDINGS(layer) {
  bindLayer<float>("LayerFloat32");
  bindLayer<double>("LayerFloat64");
}

}  // namespace cross_attention::embind
