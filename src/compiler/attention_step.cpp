#include "compiler/attention_step.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

#include "core/error.hpp"
#include "core/text.hpp"
#include "layer/call_check.hpp"
#include "layer/computation_graph.hpp"
#include "layer/forward_pass.hpp"

namespace cross_attention::compiler {

namespace {

using layer::Arguments;
using layer::AttentionSizes;
using layer::Choice;
using layer::DiffusionCrossAttention;
using layer::ForwardPass;
using layer::KeyMask;
using layer::PackedWeights;
using layer::PassInputs;
using layer::PreparedContext;

constexpr int kMeasuredRuns = 4;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Association otherThan(Association association) {
  return association == Association::kFolded ? Association::kPlain : Association::kFolded;
}

double elementAt(graph::ElementType type, const void* elements, Index index) {
  if (type == graph::ElementType::kFloat32) return static_cast<const float*>(elements)[index];
  return static_cast<const double*>(elements)[index];
}

/// Converts a mask [B, 1, 1, L] that contains only zeros and -infinity to a key mask. Returns null for any
/// other mask.
std::shared_ptr<const KeyMask> asKeyMask(graph::ElementType type, const AnyTensor& mask) {
  const Shape& shape = mask.shape();
  if (shape[1] != 1 || shape[2] != 1) return nullptr;
  auto keys = std::make_shared<KeyMask>();
  keys->batch = shape[0];
  keys->length = shape[3];
  keys->attended.resize(static_cast<std::size_t>(keys->batch));
  Index index = 0;
  for (auto& row : keys->attended) {
    for (Index key = 0; key < keys->length; ++key) {
      const double value = elementAt(type, mask.elements(), index++);
      if (value == 0) row.push_back(key);
      if (value != 0 && value != -kInfinity) return nullptr;
    }
  }
  return keys;
}

/// The inputs that an attention is compiled for. Constants have their elements.
struct AttentionInputs {
  AnyTensor input;
  AnyTensor context;
  AnyTensor mask;
  bool hasMask;
  /// Prepared in every run: the context changes, or it has rows that are not finite, and the mask of the run
  /// decides whether they count.
  bool contextVaries;
  bool maskVaries;
  /// Used instead of the mask if not null.
  std::shared_ptr<const KeyMask> keyMask;
};

/// A pass of the layer with one of the associations, independent of the element type.
class Pass {
 public:
  virtual ~Pass() = default;
  virtual void bind(const AnyTensor& input, const AnyTensor& context, const AnyTensor& mask,
                    const AnyTensor& output) = 0;
  virtual Schedule& schedule() = 0;
  virtual double flops() = 0;
  virtual std::size_t cachedBytes() const = 0;
};

/// The tensors of a pass.
enum PassTensor : std::uint8_t { kInput, kContext, kMask, kOutput };

template <class T>
class TypedPass final : public Pass {
 public:
  TypedPass(DiffusionCrossAttention<T>& layer, const AttentionInputs& inputs, bool folds,
            const std::shared_ptr<Workspace>& workspace)
      : inputs_(inputs),
        tensors_{Tensor<T>(inputs.input), Tensor<T>(inputs.context), Tensor<T>(inputs.mask),
                 Tensor<T>(inputs.input)},
        pass_({layer.configuration(), layer.parameters(), layer.packedWeights(), workspace},
              arguments(layer.configuration()), prepareContext(layer, folds, workspace),
              {.minTasks = layer::tasksForThreads(), .repeats = true}) {}

  void bind(const AnyTensor& input, const AnyTensor& context, const AnyTensor& mask,
            const AnyTensor& output) override {
    tensors_[kInput].AnyTensor::operator=(input);
    tensors_[kContext].AnyTensor::operator=(context);
    tensors_[kMask].AnyTensor::operator=(mask);
    tensors_[kOutput].AnyTensor::operator=(output);
    pass_.bind(tensors_[kInput], inputs_.contextVaries ? &tensors_[kContext] : nullptr,
               inputs_.maskVaries ? &tensors_[kMask] : nullptr, tensors_[kOutput]);
  }
  Schedule& schedule() override { return pass_.schedule(); }
  double flops() override { return pass_.statistics().flops; }
  std::size_t cachedBytes() const override { return pass_.projected()->bytes(); }

 private:
  Arguments<T> arguments(const layer::Configuration& configuration) const {
    layer::Mask<T> mask;
    mask.keys = inputs_.keyMask;
    if (inputs_.hasMask && !inputs_.keyMask) mask.additive = tensors_[kMask];
    return Arguments<T>::check(configuration, tensors_[kInput], &tensors_[kContext], mask);
  }

  /// Returns the context of the runs. A constant context is projected here, once.
  PreparedContext<T> prepareContext(DiffusionCrossAttention<T>& layer, bool folds,
                                    const std::shared_ptr<Workspace>& workspace) const {
    const layer::Configuration& configuration = layer.configuration();
    const Arguments<T> arguments = this->arguments(configuration);
    const PassInputs<T> inputs{configuration, layer.parameters(), layer.packedWeights(), workspace};
    const layer::PackedWeightSet passWeights = ForwardPass<T>::requiredWeights(folds);
    if (inputs_.contextVaries) {
      return layer::prepareContext<T>(inputs, arguments, {.folded = folds, .repeats = true}, passWeights,
                                      nullptr);
    }
    // Packs weights only for this projection; runs do not use them.
    const PassInputs<T> once{configuration, layer.parameters(),
                             std::make_shared<PackedWeights<T>>(configuration, layer.parameters()),
                             workspace};
    const PreparedContext<T> prepared =
        layer::prepareContext<T>(once, arguments, {.folded = folds}, {}, nullptr);
    Schedule schedule(workspace);
    prepared.addStages(schedule, *once.weights, arguments);
    schedule.run();
    inputs.weights->require(passWeights, workspace);
    return {.projected = prepared.projected, .folded = folds};
  }

  const AttentionInputs& inputs_;
  /// The tensors of the run; before the first run, those that it is compiled for. Members, because
  /// temporaries would double the code.
  std::array<Tensor<T>, 4> tensors_;
  ForwardPass<T> pass_;
};

class AttentionStep final : public Step {
 public:
  AttentionStep(const Program& program, const Operation& operation, const AttentionOptions& options,
                const std::shared_ptr<Workspace>& workspace)
      : Step(program, operation),
        isSingle_(program.type == graph::ElementType::kFloat32),
        configuration_(isSingle_ ? layerOf<float>().configuration() : layerOf<double>().configuration()),
        inputs_(collectInputs(options)),
        sizes_(sizes()),
        association_(options.association) {
    if (association_ == Association::kFolded && !canFold(configuration_)) {
      failArgument({"association is 'folded'; expected 'auto' or 'plain' for layer '", operation_.name,
                    "', whose queryKeyNorm cannot be folded"});
    }
    const Choice choice = chooseAssociation(configuration_, sizes_);
    if (association_ == Association::kAuto) {
      association_ = choice.association;
      wasMeasured_ = choice.isClose && options.measure && operation_.shape.size() > 0;
    }
    pass_ = makePass(association_, workspace);
    if (wasMeasured_) selectFaster(workspace);
  }

  void bind() override {
    pass_->bind(tensorOf(0), tensorOf(1), tensorOf(inputs_.hasMask ? 2 : 0), program_.tensorOf(operation_));
  }
  void release() override {
    const AnyTensor none = placeholder(Shape{0});
    pass_->bind(none, none, none, none);
  }
  Schedule& schedule() override { return pass_->schedule(); }
  std::size_t cachedBytes() const override { return pass_->cachedBytes(); }

  StepDescription describe() const override {
    const bool folds = association_ == Association::kFolded;
    const char* cached = folds ? ", folded weights cached" : ", K and V cached";
    return {operation_.name, folds ? "folded attention" : "flash attention",
            text({folds ? "(x·(Wq·Kᵀ)) and P·(V·Wo)" : "(x·Wq)·Kᵀ and (P·V)·Wo",
                  inputs_.contextVaries ? "" : cached, inputs_.keyMask ? ", masked keys dropped" : "",
                  wasMeasured_ ? " (measured)" : ""}),
            pass_->flops(), costOf(configuration_, sizes_, association_).bytes};
  }

 private:
  template <class T>
  DiffusionCrossAttention<T>& layerOf() const {
    return *static_cast<const layer::LayerConstants*>(operation_.owner)->layer<T>();
  }

  const AnyTensor& tensorOf(std::size_t number) const { return program_.tensorOf(input(number)); }

  bool isFinite(const AnyTensor& tensor) const {
    const auto isFinite = [&]<class T>(T) {
      const Index size = tensor.shape().size();
      return layer::isFinite(linalg::rowMajor(static_cast<const T*>(tensor.elements()), 1, size));
    };
    return isSingle_ ? isFinite(0.0F) : isFinite(0.0);
  }

  AttentionInputs collectInputs(const AttentionOptions& options) const {
    const bool hasMask = operation_.inputs.size() > 2;
    const Operation& mask = input(hasMask ? 2 : 0);
    AttentionInputs inputs{
        tensorOf(0),
        tensorOf(1),
        program_.tensorOf(mask),
        hasMask,
        !input(1).isConstant() || (hasMask && !mask.isConstant() && !isFinite(tensorOf(1))),
        hasMask && !mask.isConstant(),
        nullptr};
    if (hasMask && mask.isConstant() && options.dropMaskedKeys) {
      inputs.keyMask = asKeyMask(program_.type, inputs.mask);
    }
    return inputs;
  }

  AttentionSizes sizes() const {
    const layer::CallLayout layout =
        layer::checkCall(configuration_, inputs_.input.shape(), &inputs_.context.shape(), nullptr);
    AttentionSizes sizes{.batch = layout.input.batch,
                         .tokens = layout.input.tokens,
                         .kvBatches = layout.context.batch,
                         .keys = layout.context.tokens,
                         .contextIsConstant = !inputs_.contextVaries,
                         .elementBytes = static_cast<Index>(bytesOf(program_.type))};
    if (const KeyMask* mask = inputs_.keyMask.get()) {
      sizes.keys = mask->maxKeys();
      sizes.kvBatches = std::max(sizes.kvBatches, mask->batch);
    }
    return sizes;
  }

  std::unique_ptr<Pass> makePass(Association association, const std::shared_ptr<Workspace>& workspace) const {
    const bool folds = association == Association::kFolded;
    if (isSingle_) {
      return std::make_unique<TypedPass<float>>(layerOf<float>(), inputs_, folds, workspace);
    }
    return std::make_unique<TypedPass<double>>(layerOf<double>(), inputs_, folds, workspace);
  }

  /// Measures both associations and selects the faster one.
  void selectFaster(const std::shared_ptr<Workspace>& workspace) {
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

  /// Returns a tensor of arbitrary elements: bytes that are a small number in either type.
  AnyTensor filled(const Shape& shape) const {
    constexpr std::byte kByte{0x3d};
    const std::size_t bytes = bytesOf(program_.type);
    AnyTensor tensor(shape, bytes);
    std::fill_n(static_cast<std::byte*>(tensor.elements()), static_cast<std::size_t>(shape.size()) * bytes,
                kByte);
    return tensor;
  }

  /// Returns the milliseconds of the fastest of several runs.
  double measure() {
    using Clock = std::chrono::steady_clock;
    const AnyTensor input = filled(inputs_.input.shape());
    const AnyTensor context = filled(inputs_.context.shape());
    const AnyTensor mask = filled(inputs_.mask.shape());
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
  const AttentionInputs inputs_;
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
