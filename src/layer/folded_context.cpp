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
  ByteCount size = 0;
  ByteCount transposedSize = 0;
  for (const Index keys : keyCounts) {
    kvBatches_.push_back({keys, size, transposedSize});
    const Index rows = configuration.numHeads * headStride(static_cast<Index>(kvBatches_.size()) - 1);
    size += linalg::rowPanelsSize<T>(rows, configuration.queryDim);
    transposedSize += linalg::rowPanelsSize<T>(configuration.queryDim, rows);
  }
  keys_ = Buffer<T>(size);
  valuesTransposed_ = Buffer<T>(transposedSize);
  if (transposed) {
    values_ = Buffer<T>(size);
    keysTransposed_ = Buffer<T>(transposedSize);
  }
}

template <class T>
RowPanels<T> FoldedContext<T>::rowsOf(const Buffer<T>& buffer, Index kvBatch) const {
  return linalg::blockedRowPanels(buffer.data() + at(kvBatch).offset,
                                  configuration_.numHeads * headStride(kvBatch), configuration_.queryDim, 1);
}
template <class T>
RowPanels<T> FoldedContext<T>::transposedOf(const Buffer<T>& buffer, Index kvBatch) const {
  return linalg::blockedRowPanels(buffer.data() + at(kvBatch).transposedOffset, configuration_.queryDim,
                                  configuration_.numHeads * headStride(kvBatch), 1);
}

/// Computes channels × keys = weight (channels × headDim) · columns (headDim × keys) in one or both packings.
template <class T>
void FoldedContext<T>::fold(Index kvBatch, Index head, Index firstChannel, Index channels,
                            RowPanels<T> weight, ColumnPanels<const T> columns, Buffer<T>& rows,
                            Buffer<T>& transposed, Scratch& scratch) {
  const auto& [keys, offset, transposedOffset] = at(kvBatch);
  const Index paddedKeys = headStride(kvBatch);
  const Index width = roundUp(paddedKeys, kTileColumns<T>);
  const MatrixView<T> product =
      linalg::rowMajor(scratch.take<T>(ByteCount{channels} * width), channels, width);
  linalg::multiply<T>(weight, columns, product.columnRange(0, roundUp(keys, kTileColumns<T>)));
  for (Index channel = 0; channel < channels; ++channel) {
    std::fill(product.at(channel, keys), product.at(channel, paddedKeys), T(0));
  }
  const MatrixView<const T> folded = product.columnRange(0, paddedKeys);
  const Index firstRow = head * paddedKeys;
  if (!rows.empty()) {
    linalg::packRowsInto<T>(folded.transposed(), rows.data() + offset, rowsOf(rows, kvBatch), firstRow,
                            firstChannel);
  }
  if (!transposed.empty()) {
    linalg::packRowsInto<T>(folded, transposed.data() + transposedOffset, transposedOf(transposed, kvBatch),
                            firstChannel, firstRow);
  }
}

template <class T>
void FoldedContext<T>::addStage(Schedule& schedule, const PackedWeights<T>& weights,
                                std::vector<ColumnPanels<const T>> keyColumns,
                                std::vector<ColumnPanels<const T>> valueColumns) {
  const Index channels = configuration_.queryDim;
  const Index headDim = configuration_.headDim();
  const Index heads = configuration_.numHeads;
  const Index chunks = ceilDivide(channels, kFoldedChannelsPerTask<T>);
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
                 const Index first = chunk * kFoldedChannelsPerTask<T>;
                 const Index count = std::min(kFoldedChannelsPerTask<T>, channels - first);
                 const auto part = [&](PackedWeight weight) {
                   return weights[weight]
                       .panelRange(first / kTileRows<T>, ceilDivide(first + count, kTileRows<T>))
                       .depthRange(head * headDim, headDim);
                 };
                 const auto ofHead = [&](const std::vector<ColumnPanels<const T>>& columns) {
                   return columns[static_cast<std::size_t>(kvBatch)].depthRange(head * headDim, headDim);
                 };
                 if (isKey) {
                   fold(kvBatch, head, first, count, part(PackedWeight::kQueryTransposed), ofHead(keyColumns),
                        keys_, keysTransposed_, scratch);
                 } else {
                   fold(kvBatch, head, first, count, part(PackedWeight::kOutput), ofHead(valueColumns),
                        values_, valuesTransposed_, scratch);
                 }
               });
}

template <class T>
std::size_t FoldedContext<T>::bytes() const {
  const Index elements = keys_.size() + values_.size() + keysTransposed_.size() + valuesTransposed_.size();
  return static_cast<std::size_t>(elements) * sizeof(T);
}

template class FoldedContext<float>;
template class FoldedContext<double>;

}  // namespace cross_attention::layer
