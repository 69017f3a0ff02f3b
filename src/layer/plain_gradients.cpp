#include "layer/plain_gradients.hpp"

#include <algorithm>

#include "attention/flash_backward.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

namespace {

using linalg::ColumnPanels;
using linalg::columnPanels;
using linalg::columnPanelsSize;
using linalg::kTileColumns;
using linalg::packColumns;
using linalg::packRows;
using linalg::rowMajor;
using linalg::RowPanels;
using linalg::rowPanelsSize;
using linalg::Start;

}  // namespace

template <class T>
PlainGradients<T>::PlainGradients(const GradientTask<T>& task) : task_(task) {
  for (Buffer<T>* buffer :
       {&input_, &outputGradient_, &query_, &attended_, &attendedGradient_, &queryGradient_}) {
    *buffer = Buffer<T>(columnPanelsSize<T>(queryDim(), task.plan.chunk));
  }
  inputTransposed_ = Buffer<T>(columnPanelsSize<T>(task.plan.chunk, queryDim()));
  attendedTransposed_ = Buffer<T>(columnPanelsSize<T>(task.plan.chunk, queryDim()));
}

template <class T>
void PlainGradients<T>::addStart(Schedule& schedule) {
  schedule.add(1, 0, [this](Index, Scratch&) {
    task_.keyGradients.keys.clear();
    task_.keyGradients.values.clear();
  });
}

template <class T>
void PlainGradients<T>::addChunk(Schedule& schedule, Index batchRow, Index begin, Index count, bool) {
  const Index channels = queryDim();
  const Index tokenBlock = task_.plan.tokenBlock;
  const Index blocks = ceilDivide(count, tokenBlock);
  const auto blockCount = [tokenBlock, count](Index block) {
    return std::min(tokenBlock, count - block * tokenBlock);
  };
  schedule.add(blocks, 0, [=, this](Index block, Scratch&) {
    projectBlock(batchRow, begin, block * tokenBlock, blockCount(block));
  });
  schedule.add(
      task_.configuration.numHeads,
      Scratch::bytesFor<T>(
          attention::flashBackwardScratch<T>(task_.configuration.headDim(), tokenBlock, task_.plan.keyBlock)),
      [=, this](Index head, Scratch& scratch) { attendHead(batchRow, begin, count, head, scratch); });
  const Index transposeTasks = ceilDivide(channels, tokenBlock);
  schedule.add(blocks + transposeTasks, 0, [=, this](Index task, Scratch&) {
    if (task < blocks) {
      inputGradientBlock(batchRow, begin, task * tokenBlock, blockCount(task));
    } else {
      const Index row = (task - blocks) * tokenBlock;
      transposeRows(count, row, std::min(tokenBlock, channels - row));
    }
  });
  const Index taskChannels = planTaskRows<T>(channels);
  schedule.add(ceilDivide(channels, taskChannels),
               Scratch::bytesFor<T>(rowPanelsSize<T>(taskChannels, count)),
               [=, this](Index task, Scratch& scratch) {
                 const Index row = task * taskChannels;
                 const Index rows = std::min(taskChannels, channels - row);
                 weightGradientRows(count, row, rows, scratch);
                 task_.parameters.addBiasGradient(
                     task_.tokens(task_.outputGradient, batchRow, begin, count).rowRange(row, rows), row);
               });
}

template <class T>
void PlainGradients<T>::projectBlock(Index batchRow, Index chunk, Index begin, Index count) {
  const Index panel = begin / kTileColumns<T>;
  const Index lastPanel = panel + ceilDivide(count, kTileColumns<T>);
  const auto block = [&](Buffer<T>& buffer) {
    return chunkPanels(buffer, begin + count).panelRange(panel, lastPanel);
  };
  const auto pack = [&](const Tensor<T>& tensor, Buffer<T>& buffer) {
    return packColumns<T>(task_.tokens(tensor, batchRow, chunk + begin, count), block(buffer).data);
  };
  linalg::multiply<T>(task_.weights[PackedWeight::kQuery], pack(task_.arguments().input, input_),
                      block(query_));
  linalg::multiply<T>(task_.weights[PackedWeight::kOutputTransposed],
                      pack(task_.outputGradient, outputGradient_), block(attendedGradient_));
}

template <class T>
void PlainGradients<T>::attendHead(Index batchRow, Index chunk, Index count, Index head, Scratch& scratch) {
  const ProjectedContext<T>& projected = task_.projected();
  const Index headDim = task_.configuration.headDim();
  const Index kvBatch = projected.kvBatchOf(batchRow);
  const Index keys = projected.keyCount(kvBatch);
  KeyGradients<T>& keyGradients = task_.keyGradients;
  const auto ofHead = [&](Buffer<T>& buffer) {
    return chunkPanels(buffer, count).depthRange(head * headDim, headDim);
  };
  attention::flashBackward<T>(
      {.query = ofHead(query_),
       .outputGradient = ofHead(attendedGradient_),
       .keys = projected.keys(kvBatch, head),
       .keysTransposed = projected.keysTransposed(kvBatch, head),
       .values = projected.values(kvBatch, head),
       .valuesTransposed = projected.valuesTransposed(kvBatch, head),
       .mask = task_.arguments().headMask(batchRow, head).fromToken(chunk),
       .logSumExp = task_.activations.logSumExpOf(task_.configuration, batchRow, head) + chunk,
       .tokenBlock = task_.plan.tokenBlock,
       .keyBlock = task_.plan.keyBlock,
       .output = ofHead(attended_),
       .queryGradient = ofHead(queryGradient_),
       .keyGradient = keyGradients.rows(keyGradients.keys, head * headDim, headDim, keys),
       .valueGradient = keyGradients.rows(keyGradients.values, head * headDim, headDim, keys)},
      scratch.take<T>(
          attention::flashBackwardScratch<T>(headDim, task_.plan.tokenBlock, task_.plan.keyBlock)));
}

template <class T>
void PlainGradients<T>::inputGradientBlock(Index batchRow, Index chunk, Index begin, Index count) {
  const Index panel = begin / kTileColumns<T>;
  const auto block = [&](Buffer<T>& buffer) {
    return chunkPanels(buffer, begin + count).panelRange(panel, panel + ceilDivide(count, kTileColumns<T>));
  };
  // The attended gradient is no longer needed. Its memory takes the product before it is unpacked: see
  // ForwardPass.
  const ColumnPanels<T> gradient = block(attendedGradient_);
  linalg::multiply<T>(task_.weights[PackedWeight::kQueryTransposed], block(queryGradient_), gradient);
  linalg::unpackColumns<T>(gradient, task_.inputGradientTokens(batchRow, chunk + begin, count));
}

template <class T>
void PlainGradients<T>::transposeRows(Index tokens, Index firstRow, Index rows) {
  const auto transpose = [&](Buffer<T>& source, Buffer<T>& destination) {
    linalg::packTransposed<T>(chunkPanels(source, tokens).depthRange(firstRow, rows),
                              destination.data() + firstRow * tokens);
  };
  transpose(input_, inputTransposed_);
  transpose(attended_, attendedTransposed_);
}

template <class T>
void PlainGradients<T>::weightGradientRows(Index tokens, Index firstRow, Index rows, Scratch& scratch) {
  const Index channels = queryDim();
  T* memory = scratch.take<T>(rowPanelsSize<T>(rows, tokens));
  const auto accumulate = [&](Buffer<T>& left, Buffer<T>& right, ParameterId id) {
    const RowPanels<T> leftRows = packRows<T>(chunkPanels(left, tokens).depthRange(firstRow, rows), memory);
    linalg::multiply<T>(leftRows, columnPanels<const T>(right.data(), tokens, channels),
                        rowMajor(task_.parameters.gradients(id).data() + firstRow * channels, rows, channels),
                        Start::kAccumulate);
  };
  accumulate(queryGradient_, inputTransposed_, ParameterId::kQuery);
  accumulate(outputGradient_, attendedTransposed_, ParameterId::kOutput);
}

template class PlainGradients<float>;
template class PlainGradients<double>;

}  // namespace cross_attention::layer
