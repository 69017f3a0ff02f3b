#include "layer/diffusion_cross_attention.hpp"

#include <algorithm>
#include <chrono>

#include "core/error.hpp"
#include "core/text.hpp"
#include "layer/attention_maps.hpp"
#include "layer/backward_pass.hpp"
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
  failShape({"value for ", parameter, " has shape ", value, "; it takes ", expected});
}

/// The statistics of a pass that has come to its end. Nothing is allocated: what the pass has computed must not be lost.
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
    packedWeights_ = std::make_shared<PackedWeights<T>>(configuration_, parameters_);
  }
  return packedWeights_;
}

template <class T>
Tensor<T> DiffusionCrossAttention<T>::forward(const Tensor<T>& input, const Tensor<T>* context,
                                              const Mask<T>& mask) {
  const auto start = Clock::now();
  memory::resetPeak();
  ForwardPass<T> pass(configuration_, parameters_, packedWeights(), workspace_,
                      Arguments<T>::check(configuration_, input, context, mask), projectedContext_,
                      {.training = training_, .leastTasks = tasksForThreads()});
  pass.schedule().run();
  commit(pass, millisecondsSince(start));
  return pass.output();
}

template <class T>
std::shared_ptr<typename DiffusionCrossAttention<T>::PendingForward>
DiffusionCrossAttention<T>::startForward(const Tensor<T>& input, const Tensor<T>* context,
                                         const Mask<T>& mask) {
  memory::resetPeak();
  auto pending = std::make_shared<PendingForward>(
      *this,
      std::make_unique<ForwardPass<T>>(
          configuration_, parameters_, packedWeights(), workspace_,
          Arguments<T>::check(configuration_, input, context, mask), projectedContext_,
          ForwardOptions{.training = training_,
                         .leastTasks = ThreadPool::shared().canRunBehind() ? tasksForThreads()
                                                                           : kTasksForSlices}));
  finishBeforeChange(pending);
  return pending;
}

template <class T>
void DiffusionCrossAttention<T>::finishBeforeChange(const std::shared_ptr<Finishable>& pending) {
  std::erase_if(pending_, [](const auto& other) { return other.expired(); });
  pending_.push_back(pending);
}

template <class T>
void DiffusionCrossAttention<T>::commit(ForwardPass<T>& pass, double milliseconds) {
  if (auto activations = pass.takeActivations()) activations_ = std::move(activations);
  if (pass.contextWasReady()) ++statistics_.contextHits;
  projectedContext_ = pass.projected()->isRemembered() ? pass.projected() : nullptr;
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
    failArgument({activations_
                      ? "backward was called after the parameters changed; it takes a forward "
                        "with training = true after that"
                      : "backward was called without a training forward; it takes a forward "
                        "with training = true before it"});
  }
  const Shape& expected = activations_->arguments.layout.shape;
  if (outputGradient.shape() != expected) {
    failShape({"outputGradient has shape ", outputGradient.shape(),
               "; it takes that of the last training forward's input, ", expected});
  }
  const auto start = Clock::now();
  memory::resetPeak();
  BackwardPass<T> pass(configuration_, parameters_, packedWeights(), workspace_, *activations_,
                       outputGradient);
  pass.run();
  contextGradient_ = pass.contextGradient();
  statistics_.backward = finished(pass, millisecondsSince(start));
  return pass.inputGradient();
}

template <class T>
Tensor<T> DiffusionCrossAttention<T>::attentionMaps(const Tensor<T>& input,
                                                    const Tensor<T>* context, const Mask<T>& mask,
                                                    MapHeads heads) {
  return computeAttentionMaps(configuration_, parameters_, *packedWeights(), workspace_,
                              Arguments<T>::check(configuration_, input, context, mask),
                              projectedContext_, heads);
}

template <class T>
void DiffusionCrossAttention<T>::parametersChanged() {
  parameters_.touch();
  packedWeights_.reset();
  projectedContext_.reset();
}

template <class T>
template <class U>
void DiffusionCrossAttention<T>::setParameters(std::span<const U> values) {
  if (static_cast<Index>(values.size()) != parameters_.size()) {
    failShape({"parameters has ", values.size(), " elements; it takes ", parameters_.size()});
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
  const std::optional<ParameterId> id = findParameter(name);
  if (!id) return false;
  checkShape(name, value.shape(), parameters_.shape(*id));
  setParameter(*id, std::span<const T>(value.data(), static_cast<std::size_t>(value.size())));
  return true;
}

template <class T>
void DiffusionCrossAttention<T>::clearGradients() {
  parameters_.clearGradients();
}

template <class T>
void DiffusionCrossAttention<T>::updateParameters(double learningRate) {
  finishPending();
  parameters_.descend(static_cast<T>(learningRate));
  parametersChanged();
}

template <class T>
void DiffusionCrossAttention<T>::resetState() {
  finishPending();
  activations_.reset();
  contextGradient_.reset();
  projectedContext_.reset();
}

template <class T>
Diagnostics DiffusionCrossAttention<T>::diagnostics() const {
  const auto bytesOf = [](Index elements) {
    return static_cast<std::size_t>(elements) * sizeof(T);
  };
  const Facts facts{
      .dtype = sizeof(T) == 4 ? "float32" : "float64",
      .tileRows = linalg::kTileRows<T>,
      .tileColumns = linalg::kTileColumns<T>,
      .parameters = parameters_.size(),
      .training = training_,
      .parameterBytes = 2 * bytesOf(parameters_.size()),
      .packedWeightBytes = packedWeights_ ? packedWeights_->bytes() : 0,
      .contextBytes = projectedContext_ ? projectedContext_->bytes() : 0,
      .activationBytes =
          activations_ ? bytesOf(activations_->logSumExp.size()) + activations_->projected->bytes()
                       : 0,
  };
  return diagnose(configuration_, facts, statistics_);
}

template class DiffusionCrossAttention<float>;
template class DiffusionCrossAttention<double>;
template void DiffusionCrossAttention<float>::setParameters(std::span<const float>);
template void DiffusionCrossAttention<float>::setParameters(std::span<const double>);
template void DiffusionCrossAttention<double>::setParameters(std::span<const float>);
template void DiffusionCrossAttention<double>::setParameters(std::span<const double>);

}  // namespace cross_attention::layer
