#include "compiler/attention_step.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "layer/computation_graph.hpp"
#include "layer/forward_pass.hpp"

namespace cross_attention::compiler {

namespace {

using layer::Arguments;
using layer::KeyMask;
using layer::LayerConstants;
using layer::PackedWeight;
using layer::PackedWeights;
using layer::ProjectedContext;

constexpr int kMeasuredRuns = 4;

Association otherThan(Association association) {
  return association == Association::kFolded ? Association::kPlain : Association::kFolded;
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

/// What does not depend on the type of elements.
class AttentionStep : public Step {
 public:
  AttentionStep(const Program& program, int place, const layer::Configuration& configuration)
      : program_(program),
        operation_(program.at(place)),
        place_(place),
        configuration_(configuration),
        hasMask_(operation_.inputs.size() > 2),
        contextIsGiven_(!input(1).isConstant()),
        maskIsGiven_(hasMask_ && !input(2).isConstant()) {}

  StepDescription describe() const override {
    const bool folds = association_ == Association::kFolded;
    std::string association = folds ? "(x·(Wq·Kᵀ)) and P·(V·Wo)" : "(x·Wq)·Kᵀ and (P·V)·Wo";
    if (!contextIsGiven_) association += folds ? ", brackets kept" : ", K and V kept";
    if (dropsKeys_) association += ", masked keys dropped";
    if (wasMeasured_) association += " (measured)";
    const Cost cost = costOf(configuration_, sizes_, association_);
    return {operation_.name, folds ? "folded attention" : "flash attention",
            std::move(association), flops(), cost.bytes};
  }

 protected:
  const Operation& input(std::size_t number) const {
    return program_.at(operation_.inputs[number]);
  }
  virtual double flops() const = 0;

  const Program& program_;
  const Operation& operation_;
  const int place_;
  const layer::Configuration configuration_;
  const bool hasMask_;
  const bool contextIsGiven_;  ///< in every run
  const bool maskIsGiven_;
  AttentionSizes sizes_{};
  Association association_ = Association::kAuto;
  bool dropsKeys_ = false;
  bool wasMeasured_ = false;
};

template <class T>
class TypedAttentionStep final : public AttentionStep {
 public:
  TypedAttentionStep(const Program& program, int place, const AttentionOptions& options,
                     const std::shared_ptr<Workspace>& workspace,
                     layer::DiffusionCrossAttention<T>& layer)
      : AttentionStep(program, place, layer.configuration()),
        layer_(layer),
        workspace_(workspace),
        arguments_(checkArguments(options)) {
    sizes_ = sizes();
    dropsKeys_ = arguments_.mask.keys != nullptr;
    association_ = options.association;
    const Choice choice = chooseAssociation(configuration_, sizes_);
    if (association_ == Association::kAuto) {
      association_ = choice.association;
      wasMeasured_ = choice.isClose && options.measures && operation_.shape.size() > 0;
    }
    pass_ = makePass(association_);
    if (wasMeasured_) takeFaster();
  }

  void bind(std::span<const AnyTensor> values) override {
    const auto at = [&](int place) { return Tensor<T>(values[static_cast<std::size_t>(place)]); };
    bindTo(at(operation_.inputs[0]), at(operation_.inputs[1]),
           at(operation_.inputs[hasMask_ ? 2 : 0]), at(place_));
  }
  void release() override {
    const Tensor<T> none(placeholder(Shape{0}));
    bindTo(none, none, none, none);
  }
  Schedule& schedule() override { return pass_->schedule(); }
  std::size_t heldBytes() const override { return pass_->projected()->bytes(); }

 private:
  using Pass = layer::ForwardPass<T>;

  double flops() const override { return pass_->statistics().flops; }

  void bindTo(const Tensor<T>& given, const Tensor<T>& context, const Tensor<T>& mask,
              const Tensor<T>& output) {
    pass_->bind(given, contextIsGiven_ ? &context : nullptr, maskIsGiven_ ? &mask : nullptr,
                output);
  }

  /// Of an input: its elements where they are constant, else a tensor that stands for it.
  Tensor<T> known(std::size_t number) const {
    return Tensor<T>(input(number).tensor.value_or(placeholder(input(number).shape)));
  }

  Arguments<T> checkArguments(const AttentionOptions& options) const {
    layer::Mask<T> mask;
    if (hasMask_) {
      if (!maskIsGiven_ && options.dropMaskedKeys) mask.keys = asKeyMask(known(2));
      if (!mask.keys) mask.additive = known(2);
    }
    const Tensor<T> context = known(1);
    return Arguments<T>::check(configuration_, Tensor<T>(placeholder(input(0).shape)), &context,
                               mask);
  }

  AttentionSizes sizes() const {
    const layer::TokenLayout& context = arguments_.context.layout;
    AttentionSizes sizes{.batch = arguments_.layout.batch,
                         .tokens = arguments_.layout.tokens,
                         .sets = context.batch,
                         .keys = context.tokens,
                         .contextIsConstant = !contextIsGiven_,
                         .elementBytes = sizeof(T)};
    if (const KeyMask* mask = arguments_.mask.keys.get()) {
      sizes.keys = 0;
      for (const auto& row : mask->attended) {
        sizes.keys = std::max(sizes.keys, static_cast<Index>(row.size()));
      }
      sizes.sets = std::max(sizes.sets, mask->batch);
    }
    return sizes;
  }

  std::unique_ptr<Pass> makePass(Association association) const {
    const bool folds = association == Association::kFolded;
    return std::make_unique<Pass>(configuration_, layer_.parameters(), layer_.packedWeights(),
                                  workspace_, arguments_,
                                  contextIsGiven_ ? nullptr : projectContext(folds),
                                  layer::ForwardOptions{.training = false,
                                                        .leastTasks = layer::tasksForThreads(),
                                                        .folds = folds,
                                                        .contextIsReady = !contextIsGiven_,
                                                        .repeats = true});
  }

  std::shared_ptr<const ProjectedContext<T>> projectContext(bool folds) const {
    // Weights of its own, packed for this once: runs take none of them.
    PackedWeights<T> weights(configuration_, layer_.parameters());
    weights.require({PackedWeight::kKeyOfHeads, PackedWeight::kValueOfHeads}, workspace_);
    if (folds) weights.require({PackedWeight::kQueryTransposed, PackedWeight::kOutput}, workspace_);
    auto projected = std::make_shared<ProjectedContext<T>>(
        configuration_, layer_.parameters(), arguments_.context, arguments_.mask.keys,
        typename ProjectedContext<T>::Forms{.transposed = false, .folded = folds});
    Schedule schedule(workspace_);
    projected->addStages(schedule, weights, arguments_.context);
    schedule.run();
    return projected;
  }

  /// Runs both associations and keeps the faster one.
  void takeFaster() {
    const double milliseconds = measure();
    std::unique_ptr<Pass> other = makePass(otherThan(association_));
    std::swap(pass_, other);
    if (measure() < milliseconds) {
      association_ = otherThan(association_);
    } else {
      std::swap(pass_, other);
    }
    release();
  }

  /// Milliseconds of a run: the best of some.
  double measure() {
    using Clock = std::chrono::steady_clock;
    const auto filled = [&](std::size_t number, bool isGiven) {
      return Tensor<T>::full(isGiven ? input(number).shape : Shape{0}, T(0.5));
    };
    const Tensor<T> given = filled(0, true);
    const Tensor<T> context = filled(1, contextIsGiven_);
    const Tensor<T> mask = filled(hasMask_ ? 2 : 0, maskIsGiven_);
    const Tensor<T> output(operation_.shape);
    double best = std::numeric_limits<double>::infinity();
    for (int run = 0; run < kMeasuredRuns; ++run) {
      bindTo(given, context, mask, output);
      const auto start = Clock::now();
      pass_->schedule().run();
      const std::chrono::duration<double, std::milli> elapsed = Clock::now() - start;
      best = std::min(best, elapsed.count());
    }
    return best;
  }

  layer::DiffusionCrossAttention<T>& layer_;
  std::shared_ptr<Workspace> workspace_;
  Arguments<T> arguments_;
  std::unique_ptr<Pass> pass_;
};

template <class T>
std::unique_ptr<Step> make(const Program& program, int place, const AttentionOptions& options,
                           const std::shared_ptr<Workspace>& workspace) {
  const auto& constants = static_cast<const LayerConstants<T>&>(*program.at(place).layer);
  return std::make_unique<TypedAttentionStep<T>>(program, place, options, workspace,
                                                 *constants.layer());
}

}  // namespace

std::unique_ptr<Step> makeAttentionStep(const Program& program, int place,
                                        const AttentionOptions& options,
                                        const std::shared_ptr<Workspace>& workspace) {
  return program.type == graph::ElementType::kFloat32
             ? make<float>(program, place, options, workspace)
             : make<double>(program, place, options, workspace);
}

}  // namespace cross_attention::compiler
