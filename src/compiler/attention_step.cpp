#include "compiler/attention_step.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "layer/computation_graph.hpp"

namespace cross_attention::compiler {

namespace {

using layer::Arguments;
using layer::KeyMask;
using layer::LayerConstants;
using layer::PackedWeight;
using layer::PackedWeights;
using layer::ProjectedContext;

constexpr int kMeasuredRuns = 4;

template <class T>
layer::DiffusionCrossAttention<T>& layerOf(const Operation& attention) {
  return *static_cast<const LayerConstants<T>&>(*attention.layer).layer();
}

/// A mask [B, 1, 1, L] of nothing but zeros and -infinity as a key mask; null for another one.
template <class T>
std::shared_ptr<const KeyMask> asKeyMask(const Tensor<T>& mask) {
  if (mask.shape()[1] != 1 || mask.shape()[2] != 1) return nullptr;
  auto keys = std::make_shared<KeyMask>();
  keys->batch = mask.shape()[0];
  keys->length = mask.shape()[3];
  keys->attended.resize(static_cast<std::size_t>(keys->batch));
  for (Index element = 0; element < mask.size(); ++element) {
    const T value = mask.data()[element];
    if (value == T(0)) {
      keys->attended[static_cast<std::size_t>(element / keys->length)].push_back(element %
                                                                                 keys->length);
    } else if (value != -std::numeric_limits<T>::infinity()) {
      return nullptr;
    }
  }
  return keys;
}

}  // namespace

template <class T>
AttentionStep<T>::AttentionStep(const Program& program, int place, const AttentionOptions& options,
                                std::shared_ptr<Workspace> workspace)
    : program_(program),
      operation_(program.at(place)),
      place_(place),
      layer_(layerOf<T>(operation_)),
      configuration_(layer_.configuration()),
      contextIsConstant_(input(1).isConstant()),
      association_(options.association) {
  const Tensor<T> context = contextIsConstant_ ? *static_cast<const Tensor<T>*>(input(1).tensor.get())
                                               : placeholder<T>(input(1).shape);
  arguments_ = Arguments<T>::check(configuration_, placeholder<T>(input(0).shape), &context,
                                   mask(options));
  if (association_ != Association::kAuto) {
    pass_ = makePass(association_ == Association::kFolded, workspace);
    return;
  }
  const Choice choice = chooseAssociation(configuration_, sizes());
  association_ = choice.association;
  pass_ = makePass(association_ == Association::kFolded, workspace);
  wasMeasured_ = choice.isClose && options.measures && operation_.shape.size() > 0;
  if (!wasMeasured_) return;
  std::unique_ptr<Pass> other = makePass(association_ != Association::kFolded, workspace);
  if (measure(*other) < measure(*pass_)) {
    association_ = association_ == Association::kFolded ? Association::kPlain : Association::kFolded;
    pass_ = std::move(other);
  }
  release();
}

template <class T>
layer::Mask<T> AttentionStep<T>::mask(const AttentionOptions& options) const {
  if (!hasMask()) return {};
  if (!input(2).isConstant()) return {.keys = nullptr, .additive = placeholder<T>(input(2).shape)};
  const auto& constant = *static_cast<const Tensor<T>*>(input(2).tensor.get());
  if (options.dropMaskedKeys) {
    if (auto keys = asKeyMask(constant)) return {.keys = std::move(keys), .additive = {}};
  }
  return {.keys = nullptr, .additive = constant};
}

template <class T>
AttentionSizes AttentionStep<T>::sizes() const {
  const layer::TokenLayout& context = arguments_->context.layout;
  Index keys = context.tokens;
  Index sets = context.batch;
  if (const KeyMask* mask = arguments_->mask.keys.get()) {
    keys = 0;
    for (const auto& row : mask->attended) keys = std::max(keys, static_cast<Index>(row.size()));
    sets = std::max(sets, mask->batch);
  }
  return {.batch = arguments_->layout.batch,
          .tokens = arguments_->layout.tokens,
          .sets = sets,
          .keys = keys,
          .contextIsConstant = contextIsConstant_,
          .elementBytes = sizeof(T)};
}

template <class T>
std::shared_ptr<const ProjectedContext<T>> AttentionStep<T>::projectContext(
    bool folds, const std::shared_ptr<Workspace>& workspace) const {
  // Weights of its own, packed for this once: runs take none of them.
  PackedWeights<T> weights(configuration_, layer_.parameters());
  weights.require({PackedWeight::kKeyOfHeads, PackedWeight::kValueOfHeads}, workspace);
  if (folds) weights.require({PackedWeight::kQueryTransposed, PackedWeight::kOutput}, workspace);
  auto projected = std::make_shared<ProjectedContext<T>>(
      configuration_, layer_.parameters(), arguments_->context, arguments_->mask.keys,
      typename ProjectedContext<T>::Forms{.transposed = false, .folded = folds});
  Schedule schedule(workspace);
  projected->addStages(schedule, weights, arguments_->context);
  schedule.run();
  return projected;
}

template <class T>
std::unique_ptr<layer::ForwardPass<T>> AttentionStep<T>::makePass(
    bool folds, const std::shared_ptr<Workspace>& workspace) const {
  return std::make_unique<Pass>(
      configuration_, layer_.parameters(), layer_.packedWeights(), workspace, *arguments_,
      contextIsConstant_ ? projectContext(folds, workspace) : nullptr,
      layer::ForwardOptions{.training = false,
                            .leastTasks = layer::tasksForThreads(),
                            .folds = folds,
                            .contextIsReady = contextIsConstant_,
                            .repeats = true});
}

template <class T>
double AttentionStep<T>::measure(Pass& pass) const {
  using Clock = std::chrono::steady_clock;
  const Tensor<T> given = Tensor<T>::full(input(0).shape, T(0.5));
  const Tensor<T> context = Tensor<T>::full(contextIsConstant_ ? Shape{0} : input(1).shape, T(0.5));
  const bool bindsMask = hasMask() && !input(2).isConstant();
  const Tensor<T> mask = Tensor<T>::zeros(bindsMask ? input(2).shape : Shape{0});
  const Tensor<T> output(operation_.shape);
  double best = std::numeric_limits<double>::infinity();
  for (int run = 0; run < kMeasuredRuns; ++run) {
    pass.bind(given, contextIsConstant_ ? nullptr : &context, bindsMask ? &mask : nullptr, output);
    const auto start = Clock::now();
    pass.schedule().run();
    best = std::min(best, std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  return best;
}

template <class T>
void AttentionStep<T>::bind(std::span<const Tensor<T>> values) {
  const auto at = [&](std::size_t number) {
    return &values[static_cast<std::size_t>(operation_.inputs[number])];
  };
  pass_->bind(*at(0), contextIsConstant_ ? nullptr : at(1),
              hasMask() && !input(2).isConstant() ? at(2) : nullptr,
              values[static_cast<std::size_t>(place_)]);
}

template <class T>
void AttentionStep<T>::release() {
  const Tensor<T> none = placeholder<T>(Shape{0});
  pass_->bind(none, contextIsConstant_ ? nullptr : &none,
              hasMask() && !input(2).isConstant() ? &none : nullptr, none);
}

template <class T>
StepDescription AttentionStep<T>::describe() const {
  const bool folds = association_ == Association::kFolded;
  const Cost cost = costOf(configuration_, sizes(), association_);
  std::string association = folds ? "(x·(Wq·Kᵀ)) and P·(V·Wo)" : "(x·Wq)·Kᵀ and (P·V)·Wo";
  if (contextIsConstant_) association += folds ? ", brackets kept" : ", K and V kept";
  if (arguments_->mask.keys) association += ", masked keys dropped";
  if (wasMeasured_) association += " (measured)";
  return {operation_.name, folds ? "folded attention" : "flash attention", std::move(association),
          pass_->statistics().flops, cost.bytes};
}

template <class T>
std::size_t AttentionStep<T>::heldBytes() const {
  return pass_->projected()->bytes();
}

template class AttentionStep<float>;
template class AttentionStep<double>;

}  // namespace cross_attention::compiler
