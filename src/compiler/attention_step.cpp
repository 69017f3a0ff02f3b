#include "compiler/attention_step.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

#include "core/text.hpp"
#include "layer/computation_graph.hpp"
#include "layer/forward_pass.hpp"

namespace cross_attention::compiler {

namespace {

using layer::Arguments;
using layer::Context;
using layer::DiffusionCrossAttention;
using layer::KeyMask;
using layer::PackedWeight;
using layer::ProjectedContext;
using layer::TokenLayout;

constexpr int kMeasuredRuns = 4;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Association otherThan(Association association) {
  return association == Association::kFolded ? Association::kPlain : Association::kFolded;
}

double elementAt(graph::ElementType type, const void* elements, Index place) {
  if (type == graph::ElementType::kFloat32) return static_cast<const float*>(elements)[place];
  return static_cast<const double*>(elements)[place];
}

/// A mask [B, 1, 1, L] of nothing but zeros and -infinity as a key mask; null for another one.
std::shared_ptr<const KeyMask> asKeyMask(graph::ElementType type, const AnyTensor& mask) {
  const Shape& shape = mask.shape();
  if (shape[1] != 1 || shape[2] != 1) return nullptr;
  auto keys = std::make_shared<KeyMask>();
  keys->batch = shape[0];
  keys->length = shape[3];
  keys->attended.resize(static_cast<std::size_t>(keys->batch));
  Index place = 0;
  for (auto& row : keys->attended) {
    for (Index key = 0; key < keys->length; ++key) {
      const double value = elementAt(type, mask.elements(), place++);
      if (value == 0) row.push_back(key);
      if (value != 0 && value != -kInfinity) return nullptr;
    }
  }
  return keys;
}

/// What an attention is compiled for. Constants have their elements.
struct Given {
  AnyTensor input;
  AnyTensor context;
  AnyTensor mask;
  bool hasMask;
  bool contextIsGiven;  ///< in every run
  bool maskIsGiven;
  std::shared_ptr<const KeyMask> keyMask;  ///< in place of the mask
};

/// A pass of the layer with one of the associations, whatever the type of its elements.
class Pass {
 public:
  virtual ~Pass() = default;
  virtual void bind(const AnyTensor& input, const AnyTensor& context, const AnyTensor& mask,
                    const AnyTensor& output) = 0;
  virtual Schedule& schedule() = 0;
  virtual double flops() = 0;
  virtual std::size_t heldBytes() const = 0;
};

/// The tensors of a pass.
enum PassTensor : std::uint8_t { kInput, kContext, kMask, kOutput };

template <class T>
class TypedPass final : public Pass {
 public:
  TypedPass(DiffusionCrossAttention<T>& layer, const Given& given, bool folds,
            const std::shared_ptr<Workspace>& workspace)
      : given_(given),
        tensors_{Tensor<T>(given.input), Tensor<T>(given.context), Tensor<T>(given.mask),
                 Tensor<T>(given.input)},
        pass_(layer.configuration(), layer.parameters(), layer.packedWeights(), workspace,
              arguments(layer.configuration()),
              given.contextIsGiven ? nullptr : projectContext(layer, folds, workspace),
              {.training = false,
               .leastTasks = layer::tasksForThreads(),
               .folds = folds,
               .contextIsReady = !given.contextIsGiven,
               .repeats = true}) {}

  void bind(const AnyTensor& input, const AnyTensor& context, const AnyTensor& mask,
            const AnyTensor& output) override {
    tensors_[kInput].AnyTensor::operator=(input);
    tensors_[kContext].AnyTensor::operator=(context);
    tensors_[kMask].AnyTensor::operator=(mask);
    tensors_[kOutput].AnyTensor::operator=(output);
    pass_.bind(tensors_[kInput], given_.contextIsGiven ? &tensors_[kContext] : nullptr,
               given_.maskIsGiven ? &tensors_[kMask] : nullptr, tensors_[kOutput]);
  }
  Schedule& schedule() override { return pass_.schedule(); }
  double flops() override { return pass_.statistics().flops; }
  std::size_t heldBytes() const override { return pass_.projected()->bytes(); }

 private:
  Arguments<T> arguments(const layer::Configuration& configuration) const {
    layer::Mask<T> mask{given_.keyMask, {}};
    if (given_.hasMask && !given_.keyMask) mask.additive = tensors_[kMask];
    return Arguments<T>::check(configuration, tensors_[kInput], &tensors_[kContext], mask);
  }

  std::shared_ptr<const ProjectedContext<T>> projectContext(
      const DiffusionCrossAttention<T>& layer, bool folds,
      const std::shared_ptr<Workspace>& workspace) const {
    const layer::Configuration& configuration = layer.configuration();
    const Context<T> context{tensors_[kContext], TokenLayout::ofContext(given_.context.shape(),
                                                                        configuration.contextDim)};
    // Weights of its own, packed for this once: runs take none of them.
    layer::PackedWeights<T> weights(configuration, layer.parameters());
    weights.require({PackedWeight::kKeyOfHeads, PackedWeight::kValueOfHeads}, workspace);
    if (folds) weights.require({PackedWeight::kQueryTransposed, PackedWeight::kOutput}, workspace);
    auto projected = std::make_shared<ProjectedContext<T>>(
        configuration, layer.parameters(), context, given_.keyMask,
        typename ProjectedContext<T>::Forms{.transposed = false, .folded = folds});
    Schedule schedule(workspace);
    projected->addStages(schedule, weights, context);
    schedule.run();
    return projected;
  }

  const Given& given_;
  /// Of the run, and before it what it is compiled for: temporary ones would be twice the code.
  std::array<Tensor<T>, 4> tensors_;
  layer::ForwardPass<T> pass_;
};

class AttentionStep final : public Step {
 public:
  AttentionStep(const Program& program, const Operation& operation, const AttentionOptions& options,
                const std::shared_ptr<Workspace>& workspace)
      : Step(program, operation),
        isSingle_(program.type == graph::ElementType::kFloat32),
        configuration_(isSingle_ ? layerOf<float>().configuration()
                                 : layerOf<double>().configuration()),
        given_(giveInputs(options)),
        sizes_(sizes()),
        association_(options.association) {
    const Choice choice = chooseAssociation(configuration_, sizes_);
    if (association_ == Association::kAuto) {
      association_ = choice.association;
      wasMeasured_ = choice.isClose && options.measures && operation_.shape.size() > 0;
    }
    pass_ = makePass(association_, workspace);
    if (wasMeasured_) takeFaster(workspace);
  }

  void bind() override {
    pass_->bind(tensorOf(0), tensorOf(1), tensorOf(given_.hasMask ? 2 : 0),
                program_.tensorOf(operation_));
  }
  void release() override {
    const AnyTensor none = placeholder(Shape{0});
    pass_->bind(none, none, none, none);
  }
  Schedule& schedule() override { return pass_->schedule(); }
  std::size_t heldBytes() const override { return pass_->heldBytes(); }

  StepDescription describe() const override {
    const bool folds = association_ == Association::kFolded;
    const char* kept = folds ? ", brackets kept" : ", K and V kept";
    return {operation_.name, folds ? "folded attention" : "flash attention",
            text({folds ? "(x·(Wq·Kᵀ)) and P·(V·Wo)" : "(x·Wq)·Kᵀ and (P·V)·Wo",
                  given_.contextIsGiven ? "" : kept, given_.keyMask ? ", masked keys dropped" : "",
                  wasMeasured_ ? " (measured)" : ""}),
            pass_->flops(), costOf(configuration_, sizes_, association_).bytes};
  }

 private:
  template <class T>
  DiffusionCrossAttention<T>& layerOf() const {
    return *static_cast<const layer::LayerConstants*>(operation_.owner)->layer<T>();
  }

  const AnyTensor& tensorOf(std::size_t number) const { return program_.tensorOf(input(number)); }

  Given giveInputs(const AttentionOptions& options) const {
    const bool hasMask = operation_.inputs.size() > 2;
    const Operation& mask = input(hasMask ? 2 : 0);
    Given given{tensorOf(0),
                tensorOf(1),
                program_.tensorOf(mask),
                hasMask,
                !input(1).isConstant(),
                hasMask && !mask.isConstant(),
                nullptr};
    if (hasMask && mask.isConstant() && options.dropMaskedKeys) {
      given.keyMask = asKeyMask(program_.type, given.mask);
    }
    return given;
  }

  AttentionSizes sizes() const {
    const TokenLayout tokens =
        TokenLayout::ofInput(given_.input.shape(), configuration_.queryDim, "input");
    const TokenLayout context =
        TokenLayout::ofContext(given_.context.shape(), configuration_.contextDim);
    AttentionSizes sizes{.batch = tokens.batch,
                         .tokens = tokens.tokens,
                         .sets = context.batch,
                         .keys = context.tokens,
                         .contextIsConstant = !given_.contextIsGiven,
                         .elementBytes = static_cast<Index>(bytesOf(program_.type))};
    if (const KeyMask* mask = given_.keyMask.get()) {
      sizes.keys = 0;
      for (const auto& row : mask->attended) {
        sizes.keys = std::max(sizes.keys, static_cast<Index>(row.size()));
      }
      sizes.sets = std::max(sizes.sets, mask->batch);
    }
    return sizes;
  }

  std::unique_ptr<Pass> makePass(Association association,
                                 const std::shared_ptr<Workspace>& workspace) const {
    const bool folds = association == Association::kFolded;
    if (isSingle_) {
      return std::make_unique<TypedPass<float>>(layerOf<float>(), given_, folds, workspace);
    }
    return std::make_unique<TypedPass<double>>(layerOf<double>(), given_, folds, workspace);
  }

  /// Runs both associations and keeps the faster one.
  void takeFaster(const std::shared_ptr<Workspace>& workspace) {
    const double milliseconds = measure();
    std::unique_ptr<Pass> other = makePass(otherThan(association_), workspace);
    std::swap(pass_, other);
    if (measure() < milliseconds) {
      association_ = otherThan(association_);
    } else {
      std::swap(pass_, other);
    }
    release();
  }

  /// Some elements: bytes that are a small number in either type.
  AnyTensor filled(const Shape& shape) const {
    constexpr std::byte kByte{0x3d};
    const std::size_t bytes = bytesOf(program_.type);
    AnyTensor tensor(shape, bytes);
    std::fill_n(static_cast<std::byte*>(tensor.elements()),
                static_cast<std::size_t>(shape.size()) * bytes, kByte);
    return tensor;
  }

  /// Milliseconds of a run: the best of some.
  double measure() {
    using Clock = std::chrono::steady_clock;
    const AnyTensor input = filled(given_.input.shape());
    const AnyTensor context = filled(given_.context.shape());
    const AnyTensor mask = filled(given_.mask.shape());
    const AnyTensor output = filled(operation_.shape);
    double best = kInfinity;
    for (int run = 0; run < kMeasuredRuns; ++run) {
      pass_->bind(input, context, mask, output);
      const auto start = Clock::now();
      pass_->schedule().run();
      const std::chrono::duration<double, std::milli> elapsed = Clock::now() - start;
      best = std::min(best, elapsed.count());
    }
    return best;
  }

  const bool isSingle_;
  const layer::Configuration configuration_;
  const Given given_;
  const AttentionSizes sizes_;
  Association association_;
  bool wasMeasured_ = false;
  std::unique_ptr<Pass> pass_;
};

}  // namespace

std::unique_ptr<Step> makeAttentionStep(const Program& program, const Operation& operation,
                                        const AttentionOptions& options,
                                        const std::shared_ptr<Workspace>& workspace) {
  return std::make_unique<AttentionStep>(program, operation, options, workspace);
}

}  // namespace cross_attention::compiler
