#include "layer/diffusion_cross_attention.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/error.hpp"
#include "core/text.hpp"
#include "layer/adam_optimizer.hpp"
#include "layer/attention_maps.hpp"
#include "layer/backward_pass.hpp"
#include "layer/call_check.hpp"
#include "layer/forward_pass.hpp"
#include "layer/pending_forward.hpp"

namespace cross_attention::layer {

namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void checkShape(std::string_view parameter, const Shape& value, const Shape& expected) {
  if (value == expected) return;
  failShape({"value for ", parameter, " has shape ", value, "; expected ", expected});
}

/// Returns the statistics of a finished pass. Allocates nothing, because an error would lose the result of
/// the pass.
template <class Pass>
PassStatistics finished(Pass& pass, double milliseconds) {
  const std::size_t peak = memory::peakBytes();
  pass.statistics().milliseconds = milliseconds;
  pass.statistics().peakBytes = peak - std::min(peak, pass.bytesBefore());
  return std::move(pass.statistics());
}

}  // namespace

template <class T>
DiffusionCrossAttention<T>::DiffusionCrossAttention(const Configuration& configuration)
    : configuration_((validate(configuration), configuration)),
      workspace_(Workspace::shared()),
      parameters_(configuration_) {}

template <class T>
DiffusionCrossAttention<T>::~DiffusionCrossAttention() {
  finishPending();
  *self_ = nullptr;
}

template <class T>
std::shared_ptr<PackedWeights<T>> DiffusionCrossAttention<T>::packedWeights() {
  if (!packedWeights_ || packedWeights_->version() != parameters_.version()) {
    packedWeights_.reset();
    packedWeights_ = std::make_shared<PackedWeights<T>>(configuration_, effectiveParameters());
  }
  return packedWeights_;
}

template <class T>
PassInputs<T> DiffusionCrossAttention<T>::passInputs() {
  return {configuration_, parameters_, packedWeights(), workspace_};
}

template <class T>
std::unique_ptr<ForwardPass<T>> DiffusionCrossAttention<T>::makeForward(const Tensor<T>& input,
                                                                        const Tensor<T>* context,
                                                                        const Mask<T>& mask, Index minTasks,
                                                                        const RecordOptions& record) {
  memory::resetPeak();
  Arguments<T> arguments = Arguments<T>::check(configuration_, input, context, mask);
  const bool isRecorded = record.recorder != nullptr;
  if (isRecorded) checkRecording(record, arguments.layout, arguments.context.layout.tokens);
  const bool folded = arguments.foldsContext(configuration_);
  const PassInputs<T> inputs = passInputs();
  // A training step changes the parameters, and with them all keys and values: a copy of the context would be
  // useless.
  const ContextForms forms{.transposed = training_, .folded = folded, .cacheable = !training_};
  const PreparedContext<T> prepared =
      prepareContext(inputs, arguments, forms, ForwardPass<T>::requiredWeights(folded), &contextCache_);
  return std::make_unique<ForwardPass<T>>(
      inputs, std::move(arguments), prepared,
      ForwardOptions{.training = training_, .minTasks = minTasks, .record = isRecorded ? &record : nullptr});
}

template <class T>
Tensor<T> DiffusionCrossAttention<T>::forward(const Tensor<T>& input, const Tensor<T>* context,
                                              const Mask<T>& mask, const RecordOptions& record) {
  const auto start = Clock::now();
  const auto pass = makeForward(input, context, mask, tasksForThreads(), record);
  pass->schedule().run();
  commit(*pass, ++forwardCalls_, millisecondsSince(start));
  return pass->output();
}

template <class T>
std::shared_ptr<typename DiffusionCrossAttention<T>::PendingForward> DiffusionCrossAttention<T>::startForward(
    const Tensor<T>& input, const Tensor<T>* context, const Mask<T>& mask, const RecordOptions& record) {
  const Index minTasks = ThreadPool::shared().canRunInBackground() ? tasksForThreads() : kTasksForSlices;
  auto pending = std::make_shared<PendingForward>(*this, makeForward(input, context, mask, minTasks, record),
                                                  forwardCalls_ + 1);
  ++forwardCalls_;
  finishBeforeChange(pending);
  return pending;
}

template <class T>
void DiffusionCrossAttention<T>::finishBeforeChange(const std::shared_ptr<Finishable>& pending) {
  std::erase_if(pending_, [](const auto& other) { return other.expired(); });
  pending_.push_back(pending);
}

template <class T>
void DiffusionCrossAttention<T>::commit(ForwardPass<T>& pass, std::uint64_t call, double milliseconds) {
  auto activations = pass.takeActivations();
  if (activations && call > savedCall_) {
    activations_ = std::move(activations);
    savedCall_ = call;
  }
  pass.commitRecording();
  if (pass.contextWasFinished()) ++statistics_.contextHits;
  contextCache_.store(pass.projected());
  statistics_.forward = finished(pass, milliseconds);
}

template <class T>
void DiffusionCrossAttention<T>::finishPending() {
  std::vector<std::weak_ptr<Finishable>> all;
  std::swap(all, pending_);
  for (const std::weak_ptr<Finishable>& weak : all) {
    if (const std::shared_ptr<Finishable> pending = weak.lock()) pending->finish();
  }
}

template <class T>
Tensor<T> DiffusionCrossAttention<T>::backward(const Tensor<T>& outputGradient) {
  finishPending();
  if (!activations_ || activations_->parametersVersion != parameters_.version()) {
    failArgument({activations_ ? "backward was called after the parameters changed"
                               : "backward was called without a training forward pass",
                  "; expected a forward pass with training = true before it"});
  }
  checkOutputGradient(outputGradient.shape(), activations_->arguments.outputLayout.shape);
  const auto start = Clock::now();
  memory::resetPeak();
  BackwardPass<T> pass(passInputs(), parameters_, *activations_, outputGradient);
  pass.run();
  contextGradient_ = pass.contextGradient();
  statistics_.backward = finished(pass, millisecondsSince(start));
  return pass.inputGradient();
}

template <class T>
Tensor<T> DiffusionCrossAttention<T>::attentionMaps(const Tensor<T>& input, const Tensor<T>* context,
                                                    const Mask<T>& mask, MapHeads heads) {
  return computeAttentionMaps(passInputs(), Arguments<T>::check(configuration_, input, context, mask),
                              contextCache_, heads);
}

template <class T>
void DiffusionCrossAttention<T>::parametersChanged() {
  parameters_.touch();
  packedWeights_.reset();
  contextCache_.clear();
}

template <class T>
template <class U>
void DiffusionCrossAttention<T>::setParameters(std::span<const U> values) {
  if (static_cast<Index>(values.size()) != parameters_.size()) {
    failShape({"parameters has ", values.size(), " elements; expected ", parameters_.size()});
  }
  finishPending();
  std::transform(values.begin(), values.end(), parameters_.mutableValues().begin(),
                 [](U value) { return static_cast<T>(value); });
  parametersChanged();
}

template <class T>
void DiffusionCrossAttention<T>::setParameter(ParameterId id, std::span<const T> values) {
  finishPending();
  std::copy(values.begin(), values.end(), parameters_.mutableValues(id).begin());
  parametersChanged();
}

template <class T>
bool DiffusionCrossAttention<T>::setParameter(std::string_view name, const Tensor<T>& value) {
  const std::optional<ParameterId> id = parameters_.layout().find(name);
  if (!id) return false;
  checkShape(name, value.shape(), parameters_.shape(*id));
  setParameter(*id, std::span<const T>(value.data(), static_cast<std::size_t>(value.size())));
  return true;
}

template <class T>
std::span<T> DiffusionCrossAttention<T>::overwriteParameter(ParameterId id) {
  finishPending();
  parametersChanged();
  return parameters_.mutableValues(id);
}

template <class T>
void DiffusionCrossAttention<T>::clearGradients() {
  parameters_.clearGradients();
}

template <class T>
void DiffusionCrossAttention<T>::updateParameters(double learningRate) {
  finishPending();
  parameters_.stepGradientDescent(static_cast<T>(learningRate));
  parametersChanged();
}

template <class T>
void DiffusionCrossAttention<T>::updateParameter(ParameterId id, double learningRate) {
  finishPending();
  parameters_.stepGradientDescent(id, static_cast<T>(learningRate));
  parametersChanged();
}

template <class T>
void DiffusionCrossAttention<T>::updateParameters(AdamOptimizer<T>& optimizer, const AdamStep& step) {
  finishPending();
  optimizer.update(parameters_, step);
  parametersChanged();
}

template <class T>
void DiffusionCrossAttention<T>::setLoraScales(std::span<const double> scales) {
  finishPending();
  if (loras_.setScales(scales, parameters_)) parametersChanged();
}

template <class T>
void DiffusionCrossAttention<T>::removeLora(std::size_t index) {
  finishPending();
  if (loras_.remove(index, parameters_)) parametersChanged();
}

template <class T>
void DiffusionCrossAttention<T>::mergeLoras() {
  finishPending();
  const std::span<const T> effective = effectiveParameters().effective();
  if (parameters_.hasEffective()) std::ranges::copy(effective, parameters_.mutableValues().begin());
  loras_.clear(parameters_);
  parametersChanged();
}

template <class T>
const Parameters<T>& DiffusionCrossAttention<T>::effectiveParameters() {
  loras_.refresh(parameters_, workspace_);
  return parameters_;
}

template <class T>
void DiffusionCrossAttention<T>::resetState() {
  finishPending();
  activations_.reset();
  contextGradient_.reset();
  contextCache_.clear();
}

template <class T>
Diagnostics DiffusionCrossAttention<T>::diagnostics() const {
  const auto bytesOf = [](Index elements) { return static_cast<std::size_t>(elements) * sizeof(T); };
  const std::size_t gradientBytes = parameters_.gradients().size_bytes();
  const LayerInfo info{
      .dtype = sizeof(T) == 4 ? "float32" : "float64",
      .tileRows = linalg::kTileRows<T>,
      .tileColumns = linalg::kTileColumns<T>,
      .parameters = parameters_.size(),
      .training = training_,
      .parameterBytes = bytesOf(parameters_.size()) + gradientBytes,
      .gradientBytes = gradientBytes,
      .loraBytes = loras_.bytes() + (parameters_.hasEffective() ? bytesOf(parameters_.size()) : 0),
      .packedWeightBytes = packedWeights_ ? packedWeights_->bytes() : 0,
      .contextBytes = contextCache_.bytes(),
      .activationBytes =
          activations_ ? bytesOf(activations_->logSumExp.size()) + activations_->projected->bytes() : 0,
  };
  return diagnose(configuration_, info, statistics_);
}

template class DiffusionCrossAttention<float>;
template class DiffusionCrossAttention<double>;
template void DiffusionCrossAttention<float>::setParameters(std::span<const float>);
template void DiffusionCrossAttention<float>::setParameters(std::span<const double>);
template void DiffusionCrossAttention<double>::setParameters(std::span<const float>);
template void DiffusionCrossAttention<double>::setParameters(std::span<const double>);

}  // namespace cross_attention::layer
