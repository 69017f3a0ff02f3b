#include "layer/folded_context.hpp"

#include <algorithm>

#include "linalg/multiply.hpp"

namespace cross_attention::layer {

namespace {

using linalg::ColumnPanels;
using linalg::kTileColumns;
using linalg::kTileRows;
using linalg::MatrixView;
using linalg::RowPanels;

/// Channels that one task folds.
template <class T>
constexpr Index kFoldedChannelsPerTask = 32 * kTileRows<T>;

}  // namespace

template <class T>
FoldedContext<T>::FoldedContext(const Configuration& configuration, const std::vector<Index>& keyCounts,
                                bool transposed)
    : configuration_(configuration) {
  ByteCount rows = 0;
  for (const Index keys : keyCounts) {
    kvBatches_.push_back({keys, rows});
    rows += configuration.numHeads * headStride(static_cast<Index>(kvBatches_.size()) - 1);
  }
  const auto transposedSize = [rows](Index channels) { return rows * roundUp(channels, kTileRows<T>); };
  keys_ = Buffer<T>(rows * queryDim());
  valuesTransposed_ = Buffer<T>(transposedSize(outputDim()));
  if (configuration.bias) keyBias_ = Buffer<T>(rows);
  if (transposed) {
    values_ = Buffer<T>(rows * outputDim());
    keysTransposed_ = Buffer<T>(transposedSize(queryDim()));
  }
}

template <class T>
RowPanels<T> FoldedContext<T>::rowsOf(const Buffer<T>& buffer, Index kvBatch, Index channels) const {
  return linalg::blockedRowPanels(buffer.data() + rowsOffset(kvBatch, channels),
                                  configuration_.numHeads * headStride(kvBatch), channels, 1);
}
template <class T>
RowPanels<T> FoldedContext<T>::transposedOf(const Buffer<T>& buffer, Index kvBatch, Index channels) const {
  return linalg::blockedRowPanels(buffer.data() + transposedOffset(kvBatch, channels), channels,
                                  configuration_.numHeads * headStride(kvBatch), 1);
}

/// Computes channels × keys = weight (channels × headDim) · columns (headDim × keys) in one or both packings.
template <class T>
void FoldedContext<T>::fold(const Part& part, RowPanels<T> weight, ColumnPanels<const T> columns,
                            Buffer<T>& rows, Buffer<T>& transposed, Scratch& scratch) {
  const Index kvBatch = part.kvBatch;
  const Index keys = at(kvBatch).keys;
  const Index paddedKeys = headStride(kvBatch);
  const Index width = roundUp(paddedKeys, kTileColumns<T>);
  const MatrixView<T> product =
      linalg::rowMajor(scratch.take<T>(ByteCount{part.count} * width), part.count, width);
  linalg::multiply<T>(weight, columns, product.columnRange(0, roundUp(keys, kTileColumns<T>)));
  for (Index channel = 0; channel < part.count; ++channel) {
    std::fill(product.at(channel, keys), product.at(channel, paddedKeys), T(0));
  }
  const MatrixView<const T> folded = product.columnRange(0, paddedKeys);
  const Index firstRow = part.head * paddedKeys;
  if (!rows.empty()) {
    linalg::packRowsInto<T>(folded.transposed(), rows.data() + rowsOffset(kvBatch, part.channels),
                            rowsOf(rows, kvBatch, part.channels), firstRow, part.first);
  }
  if (!transposed.empty()) {
    linalg::packRowsInto<T>(folded, transposed.data() + transposedOffset(kvBatch, part.channels),
                            transposedOf(transposed, kvBatch, part.channels), part.first, firstRow);
  }
}

template <class T>
void FoldedContext<T>::foldBias(Index kvBatch, Index head, const T* bias, ColumnPanels<const T> keys) {
  T* sums = keyBias_.data() + at(kvBatch).firstRow + head * headStride(kvBatch);
  std::fill_n(sums, headStride(kvBatch), T(0));
  for (Index key = 0; key < keys.columns; ++key) {
    const T* channel = keys.panel(key / kTileColumns<T>) + key % kTileColumns<T>;
    for (Index index = 0; index < keys.depth; ++index)
      sums[key] += bias[index] * channel[index * kTileColumns<T>];
  }
}

template <class T>
void FoldedContext<T>::addStage(Schedule& schedule, const PackedWeights<T>& weights,
                                std::vector<ColumnPanels<const T>> keyColumns,
                                std::vector<ColumnPanels<const T>> valueColumns) {
  const Index headDim = configuration_.headDim();
  const Index heads = configuration_.numHeads;
  const Index chunks = ceilDivide(std::max(queryDim(), outputDim()), kFoldedChannelsPerTask<T>);
  Index maxRows = 0;
  for (Index kvBatch = 0; kvBatch < static_cast<Index>(kvBatches_.size()); ++kvBatch) {
    maxRows = std::max(maxRows, headStride(kvBatch));
  }
  const ByteCount scratchBytes =
      Scratch::bytesFor<T>(ByteCount{kFoldedChannelsPerTask<T>} * roundUp(maxRows, kTileColumns<T>));
  schedule.add(static_cast<Index>(kvBatches_.size()) * heads * 2 * chunks, scratchBytes,
               [=, this, keyColumns = std::move(keyColumns), valueColumns = std::move(valueColumns),
                &weights](Index task, Scratch& scratch) {
                 const Index chunk = task % chunks;
                 const bool isKey = task / chunks % 2 == 0;
                 const Index head = task / chunks / 2 % heads;
                 const Index kvBatch = task / chunks / 2 / heads;
                 const Index channels = isKey ? queryDim() : outputDim();
                 const Index first = chunk * kFoldedChannelsPerTask<T>;
                 if (first >= channels) return;
                 const Index count = std::min(kFoldedChannelsPerTask<T>, channels - first);
                 const Part part{kvBatch, head, channels, first, count};
                 const RowPanels<T> weight =
                     weights[isKey ? PackedWeight::kQueryTransposed : PackedWeight::kOutput]
                         .panelRange(first / kTileRows<T>, ceilDivide(first + count, kTileRows<T>))
                         .depthRange(head * headDim, headDim);
                 const ColumnPanels<const T> columns =
                     (isKey ? keyColumns : valueColumns)[static_cast<std::size_t>(kvBatch)].depthRange(
                         head * headDim, headDim);
                 if (isKey) {
                   fold(part, weight, columns, keys_, keysTransposed_, scratch);
                   const T* bias = weights.parameters().find(ParameterId::kQueryBias);
                   if (bias != nullptr && chunk == 0) foldBias(kvBatch, head, bias + head * headDim, columns);
                 } else {
                   fold(part, weight, columns, values_, valuesTransposed_, scratch);
                 }
               });
}

template <class T>
std::size_t FoldedContext<T>::bytes() const {
  const Index elements =
      keys_.size() + values_.size() + keysTransposed_.size() + valuesTransposed_.size() + keyBias_.size();
  return static_cast<std::size_t>(elements) * sizeof(T);
}

template class FoldedContext<float>;
template class FoldedContext<double>;

}  // namespace cross_attention::layer
