// Arbitrary configurations, shapes and masks: a call is refused with kShape, kArgument or kOutOfMemory, or
// all passes of the layer run and give tensors of the right shapes.
#include <array>
#include <optional>
#include <vector>

#include "core/error.hpp"
#include "layer/call_check.hpp"
#include "layer/diffusion_cross_attention.hpp"
#include "targets.hpp"

namespace cross_attention::fuzz {

namespace {

/// Reads choices from bytes; zeros after their end.
class Choices {
 public:
  explicit Choices(Bytes bytes) : bytes_(bytes) {}

  unsigned byte() {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<unsigned>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return value;
  }

  /// Mostly small sizes, also negative and huge ones.
  std::int64_t size() {
    static constexpr std::array<std::int64_t, 8> kExtremes{
        -1, 0, 32768, 32769, 1 << 20, 2147483647, 1LL << 32, 9223372036854775807};
    const unsigned choice = byte();
    return choice < 240 ? choice % 20 : kExtremes[choice % kExtremes.size()];
  }

  Shape shape(const char* name) {
    std::vector<std::int64_t> dimensions(byte() % 10);
    for (std::int64_t& dimension : dimensions) dimension = size();
    return Shape::checked(dimensions, name);
  }

 private:
  Bytes bytes_;
};

constexpr Index kMaxElements = 1 << 14;

template <class T>
Tensor<T> filled(const Shape& shape, unsigned seed) {
  Tensor<T> tensor(shape);
  for (T& value : tensor) {
    seed = seed * 1664525 + 1013904223;
    value = static_cast<T>(static_cast<int>(seed >> 24) - 128) / 64;
  }
  return tensor;
}

template <class T>
layer::Mask<T> makeMask(const std::optional<Shape>& shape, unsigned seed) {
  if (!shape) return {};
  Tensor<T> values = filled<T>(*shape, seed);
  if (shape->rank() == 2) {
    for (T& value : values) value = value > 0 ? 1 : 0;
  }
  return layer::Mask<T>::from(values);
}

template <class T>
void compute(const layer::Configuration& configuration, const Shape& inputShape,
             const std::optional<Shape>& contextShape, const std::optional<Shape>& maskShape,
             unsigned flags) {
  layer::DiffusionCrossAttention<T> tested(configuration);
  const Tensor<T> input = filled<T>(inputShape, 1);
  std::optional<Tensor<T>> context;
  if (contextShape) context = filled<T>(*contextShape, 2);
  const Tensor<T>* contextPointer = context ? &*context : nullptr;
  const layer::Mask<T> mask = makeMask<T>(maskShape, 3);
  tested.setTraining((flags & 1) != 0);
  require(tested.forward(input, contextPointer, mask).shape() == inputShape, "the output has a wrong shape");
  const auto pending = tested.startForward(input, contextPointer, mask);
  while (!pending->advance(0.01)) {
  }
  require(pending->result().shape() == inputShape, "the output of slices has a wrong shape");
  tested.attentionMaps(input, contextPointer, mask, layer::MapHeads::kMean);
  if ((flags & 1) == 0) return;
  require(tested.backward(filled<T>(inputShape, 4)).shape() == inputShape, "the gradient has a wrong shape");
  tested.updateParameters(0.01);
}

}  // namespace

void call(Bytes bytes) {
  Choices choices(bytes);
  try {
    layer::Configuration configuration;
    configuration.queryDim = static_cast<Index>(choices.size());
    configuration.contextDim = static_cast<Index>(choices.size());
    configuration.numHeads = static_cast<Index>(choices.size());
    configuration.tokenBlock = static_cast<Index>(choices.byte() % 9);
    configuration.keyBlock = static_cast<Index>(choices.byte() % 9);
    const unsigned flags = choices.byte();
    layer::validate(configuration);
    const Shape input = choices.shape("input");
    std::optional<Shape> context;
    if ((flags & 2) != 0) context = choices.shape("context");
    std::optional<Shape> mask;
    if ((flags & 4) != 0) mask = choices.shape("mask");
    layer::checkCall(configuration, input, context ? &*context : nullptr, mask ? &*mask : nullptr);
    const auto isSmall = [](const std::optional<Shape>& shape) {
      return !shape || shape->size() <= kMaxElements;
    };
    const bool isSmallLayer = configuration.queryDim <= 64 && configuration.contextDim <= 64;
    if (!isSmallLayer || !isSmall(input) || !isSmall(context) || !isSmall(mask)) return;
    if ((flags & 8) != 0) {
      compute<double>(configuration, input, context, mask, flags);
    } else {
      compute<float>(configuration, input, context, mask, flags);
    }
  } catch (const Error& error) {
    require(error.code() != ErrorCode::kWeights, error.what());
  }
}

}  // namespace cross_attention::fuzz
