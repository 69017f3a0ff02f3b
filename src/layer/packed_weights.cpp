#include "layer/packed_weights.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace cross_attention::layer {

namespace {

using linalg::MatrixView;
using linalg::RowPanels;

/// Row panels that one task packs.
constexpr Index kPanelsPerTask = 8;

/// How a weight is packed.
struct Packing {
  ParameterId parameter;
  bool transposed = false;
  bool perHead = false;
};

constexpr Packing packingOf(PackedWeight weight) {
  switch (weight) {
    case PackedWeight::kQuery:
      return {.parameter = ParameterId::kQuery};
    case PackedWeight::kQueryTransposed:
      return {.parameter = ParameterId::kQuery, .transposed = true};
    case PackedWeight::kQueryPerHead:
      return {.parameter = ParameterId::kQuery, .perHead = true};
    case PackedWeight::kKeyPerHead:
      return {.parameter = ParameterId::kKey, .perHead = true};
    case PackedWeight::kValuePerHead:
      return {.parameter = ParameterId::kValue, .perHead = true};
    case PackedWeight::kOutput:
      return {.parameter = ParameterId::kOutput};
    case PackedWeight::kOutputTransposed:
      return {.parameter = ParameterId::kOutput, .transposed = true};
    default:
      return {.parameter = ParameterId::kOutput, .transposed = true, .perHead = true};
  }
}

/// Returns the matrix that is packed: the parameter or its transpose.
template <class T>
MatrixView<const T> source(const Parameters<T>& parameters, PackedWeight weight) {
  const Packing packing = packingOf(weight);
  const Shape& shape = parameters.shape(packing.parameter);
  const MatrixView<const T> matrix =
      linalg::rowMajor(parameters.effective(packing.parameter).data(), shape[0], shape[1]);
  return packing.transposed ? matrix.transposed() : matrix;
}

}  // namespace

template <class T>
ByteCount PackedWeights<T>::elements(PackedWeight weight) const {
  const MatrixView<const T> matrix = source(parameters_, weight);
  if (!packingOf(weight).perHead) return linalg::rowPanelsSize<T>(matrix.rows, matrix.columns);
  return configuration_.numHeads * linalg::rowPanelsSize<T>(configuration_.headDim(), matrix.columns);
}

/// Blocks of a depth of innerDim contain whole heads, because folding reads the channels of one head from
/// them. The depth of the weights of keys and values is contextDim, which has no heads.
template <class T>
RowPanels<T> PackedWeights<T>::layout(PackedWeight weight, const T* data, Index rows) const {
  const Index depth = source(parameters_, weight).columns;
  const ParameterId parameter = packingOf(weight).parameter;
  const bool depthIsContextDim = parameter == ParameterId::kKey || parameter == ParameterId::kValue;
  const bool hasHeads = !depthIsContextDim && depth == configuration_.innerDim();
  return linalg::blockedRowPanels(data, rows, depth, hasHeads ? configuration_.headDim() : 1);
}

template <class T>
void PackedWeights<T>::addStage(Schedule& schedule, PackedWeight weight, T* destination) const {
  const MatrixView<const T> matrix = source(parameters_, weight);
  const Index headDim = configuration_.headDim();
  const bool perHead = packingOf(weight).perHead;
  const Index taskRows = perHead ? headDim : kPanelsPerTask * linalg::kTileRows<T>;
  schedule.add(ceilDivide(matrix.rows, taskRows), 0, [=, this](Index task, Scratch&) {
    const Index row = task * taskRows;
    const MatrixView<const T> rows = matrix.rowRange(row, std::min(taskRows, matrix.rows - row));
    if (perHead) {
      T* head = destination + task * linalg::rowPanelsSize<T>(headDim, matrix.columns);
      linalg::packRowsInto<T>(rows, head, layout(weight, head, headDim), 0, 0);
    } else {
      linalg::packRowsInto<T>(rows, destination, layout(weight, destination, matrix.rows), row, 0);
    }
  });
}

template <class T>
void PackedWeights<T>::require(PackedWeightSet weights, const std::shared_ptr<Workspace>& workspace) {
  std::array<bool, kPackedWeightCount> missing{};
  for (std::size_t index = 0; index < kPackedWeightCount; ++index) {
    missing[index] = weights.contains(static_cast<PackedWeight>(index)) && buffers_[index].empty();
  }
  if (std::ranges::none_of(missing, std::identity())) return;
  Schedule schedule(workspace);
  std::array<Buffer<T>, kPackedWeightCount> packed;
  for (std::size_t index = 0; index < kPackedWeightCount; ++index) {
    if (!missing[index]) continue;
    const auto weight = static_cast<PackedWeight>(index);
    packed[index] = Buffer<T>(elements(weight));
    addStage(schedule, weight, packed[index].data());
  }
  schedule.run();
  // Not earlier: if memory runs out for one of them, none counts as packed.
  for (std::size_t index = 0; index < kPackedWeightCount; ++index) {
    if (missing[index]) buffers_[index] = std::move(packed[index]);
  }
}

template <class T>
RowPanels<T> PackedWeights<T>::operator[](PackedWeight weight) const {
  return layout(weight, at(weight).data(), source(parameters_, weight).rows);
}

template <class T>
RowPanels<T> PackedWeights<T>::ofHead(PackedWeight weight, Index head) const {
  const Index headDim = configuration_.headDim();
  const Index depth = source(parameters_, weight).columns;
  const ByteCount offset = head * linalg::rowPanelsSize<T>(headDim, depth);
  return layout(weight, at(weight).data() + offset, headDim);
}

template <class T>
std::size_t PackedWeights<T>::bytes() const {
  std::size_t bytes = 0;
  for (const Buffer<T>& buffer : buffers_) {
    bytes += static_cast<std::size_t>(buffer.size()) * sizeof(T);
  }
  return bytes;
}

template class PackedWeights<float>;
template class PackedWeights<double>;

}  // namespace cross_attention::layer
