#include "layer/packed_weights.hpp"

#include <algorithm>

namespace cross_attention::layer {

namespace {

using linalg::MatrixView;
using linalg::RowPanels;

/// Row panels that one task packs.
constexpr Index kPanelsAtATime = 8;

bool isOfHeads(PackedWeight weight) { return weight >= PackedWeight::kKeyOfHeads; }

/// What is packed: the parameter, or its transpose.
template <class T>
MatrixView<const T> source(const Parameters<T>& parameters, PackedWeight weight) {
  const auto view = [&](ParameterId id) {
    const Shape shape = parameters.shape(id);
    return linalg::rowMajor(parameters.values(id).data(), shape[0], shape[1]);
  };
  switch (weight) {
    case PackedWeight::kQuery:
    case PackedWeight::kQueryOfHeads:
      return view(ParameterId::kQuery);
    case PackedWeight::kQueryTransposed:
      return view(ParameterId::kQuery).transposed();
    case PackedWeight::kOutput:
      return view(ParameterId::kOutput);
    case PackedWeight::kOutputTransposed:
    case PackedWeight::kOutputTransposedOfHeads:
      return view(ParameterId::kOutput).transposed();
    case PackedWeight::kKeyOfHeads:
      return view(ParameterId::kKey);
    default:
      return view(ParameterId::kValue);
  }
}

}  // namespace

template <class T>
ByteCount PackedWeights<T>::elements(PackedWeight weight) const {
  const MatrixView<const T> matrix = source(parameters_, weight);
  if (!isOfHeads(weight)) return linalg::rowPanelsSize<T>(matrix.rows, matrix.columns);
  return configuration_.numHeads *
         linalg::rowPanelsSize<T>(configuration_.headDim(), matrix.columns);
}

/// Blocks of the depth hold whole heads: folding takes the channels of one head out of them.
template <class T>
RowPanels<T> PackedWeights<T>::layout(PackedWeight weight, const T* data, Index rows) const {
  const Index depth = source(parameters_, weight).columns;
  const bool isOfContext =
      weight == PackedWeight::kKeyOfHeads || weight == PackedWeight::kValueOfHeads;
  return linalg::blockedRowPanels(data, rows, depth, isOfContext ? 1 : configuration_.headDim());
}

template <class T>
void PackedWeights<T>::addStage(Schedule& schedule, PackedWeight weight, T* destination) const {
  const MatrixView<const T> matrix = source(parameters_, weight);
  const Index headDim = configuration_.headDim();
  const bool ofHeads = isOfHeads(weight);
  const Index taskRows = ofHeads ? headDim : kPanelsAtATime * linalg::kTileRows<T>;
  schedule.add(ceilDivide(matrix.rows, taskRows), 0, [=, this](Index task, Scratch&) {
    const Index row = task * taskRows;
    const MatrixView<const T> rows = matrix.rowRange(row, std::min(taskRows, matrix.rows - row));
    if (ofHeads) {
      T* head = destination + task * linalg::rowPanelsSize<T>(headDim, matrix.columns);
      linalg::packRowsInto<T>(rows, head, layout(weight, head, headDim), 0, 0);
    } else {
      linalg::packRowsInto<T>(rows, destination, layout(weight, destination, matrix.rows), row, 0);
    }
  });
}

template <class T>
void PackedWeights<T>::require(std::initializer_list<PackedWeight> weights,
                               const std::shared_ptr<Workspace>& workspace) {
  if (std::ranges::none_of(weights, [&](PackedWeight weight) { return at(weight).empty(); }))
    return;
  Schedule schedule(workspace);
  std::array<Buffer<T>, std::tuple_size_v<decltype(buffers_)>> packed;
  for (const PackedWeight weight : weights) {
    if (!at(weight).empty()) continue;
    Buffer<T>& buffer = packed[static_cast<std::size_t>(weight)];
    buffer = Buffer<T>(elements(weight));
    addStage(schedule, weight, buffer.data());
  }
  schedule.run();
  // Only now: had there been no memory for one of them, none would count as packed.
  for (std::size_t index = 0; index < packed.size(); ++index) {
    if (!packed[index].empty()) buffers_[index] = std::move(packed[index]);
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
