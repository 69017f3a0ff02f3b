#include "layer/folded_gradients.hpp"

#include <algorithm>

#include "attention/folded_backward.hpp"

namespace cross_attention::layer {

namespace {

using linalg::ColumnPanels;
using linalg::columnPanels;
using linalg::columnPanelsSize;
using linalg::kTileColumns;
using linalg::kTileRows;
using linalg::MatrixView;
using linalg::packRows;
using linalg::rowMajor;
using linalg::RowPanels;
using linalg::rowPanelsSize;
using linalg::Start;

/// Channels that one task packs.
template <class T>
constexpr Index kPackedChannelsPerTask = 16 * kTileColumns<T>;

}  // namespace

template <class T>
FoldedGradients<T>::FoldedGradients(const GradientTask<T>& task) : task_(task) {
  const Index chunk = task.plan.chunk;
  const Index maxRows = task.configuration.numHeads * roundUp(projected().maxKeys(), kTileRows<T>);
  const auto allocate = [](ByteCount size, std::initializer_list<Buffer<T>*> buffers) {
    for (Buffer<T>* buffer : buffers) *buffer = Buffer<T>(size);
  };
  allocate(columnPanelsSize<T>(queryDim(), chunk), {&input_});
  allocate(columnPanelsSize<T>(outputDim(), chunk), {&outputGradient_});
  allocate(columnPanelsSize<T>(maxRows, chunk), {&probabilities_, &scoreGradients_});
  allocate(columnPanelsSize<T>(chunk, queryDim()), {&inputTransposed_});
  allocate(columnPanelsSize<T>(chunk, outputDim()), {&outputGradientTransposed_});
  allocate(columnPanelsSize<T>(maxRows, queryDim()), {&foldedKeyGradient_});
  allocate(columnPanelsSize<T>(maxRows, outputDim()), {&foldedValueGradient_});
}

template <class T>
ColumnPanels<const T> FoldedGradients<T>::ofHead(Buffer<T>& gradient, Index channels, Index kvBatch,
                                                 Index head) {
  return columnPanels<const T>(gradient.data(), rows(kvBatch), channels)
      .depthRange(head * folded().headStride(kvBatch), projected().keyCount(kvBatch));
}

template <class T>
void FoldedGradients<T>::addChunk(Schedule& schedule, Index batchRow, Index begin, Index count,
                                  bool isFirst) {
  const Index kvBatch = projected().kvBatchOf(batchRow);
  const Index tokenBlock = task_.plan.tokenBlock;
  const Index blocks = ceilDivide(count, tokenBlock);
  const Index packings = ceilDivide(std::max(queryDim(), outputDim()), kPackedChannelsPerTask<T>);
  schedule.add(blocks + packings, 0, [=, this](Index task, Scratch&) {
    if (task < blocks) {
      const Index first = task * tokenBlock;
      computeBlock(batchRow, begin, first, std::min(tokenBlock, count - first));
    } else {
      const Index channel = (task - blocks) * kPackedChannelsPerTask<T>;
      packTokens(batchRow, begin, count, channel, kPackedChannelsPerTask<T>);
    }
  });
  const Index taskRows = planTaskRows<T>(rows(kvBatch));
  schedule.add(ceilDivide(rows(kvBatch), taskRows), Scratch::bytesFor<T>(rowPanelsSize<T>(taskRows, count)),
               [=, this](Index task, Scratch& scratch) {
                 const Index row = task * taskRows;
                 addFoldedGradients(kvBatch, count, row, std::min(taskRows, rows(kvBatch) - row),
                                    isFirst ? Start::kZero : Start::kAccumulate, scratch);
               });
}

template <class T>
void FoldedGradients<T>::computeBlock(Index batchRow, Index chunk, Index begin, Index count) {
  const Arguments<T>& arguments = task_.arguments();
  const Index kvBatch = projected().kvBatchOf(batchRow);
  const Index panel = begin / kTileColumns<T>;
  const Index lastPanel = panel + ceilDivide(count, kTileColumns<T>);
  const auto block = [&](Buffer<T>& buffer, Index depth) {
    return columnPanels(buffer.data(), depth, begin + count).panelRange(panel, lastPanel);
  };
  const auto pack = [&](MatrixView<const T> tokens, Buffer<T>& buffer) {
    return linalg::packColumns<T>(tokens, block(buffer, tokens.rows).data);
  };
  const ColumnPanels<T> input = pack(task_.inputTokens(batchRow, chunk + begin, count), input_);
  const ColumnPanels<T> scoreGradients = block(scoreGradients_, rows(kvBatch));
  attention::foldedBackward<T>(
      {.input = input,
       .outputGradient = pack(task_.outputGradientTokens(batchRow, chunk + begin, count), outputGradient_),
       .keys = folded().keys(kvBatch),
       .values = folded().values(kvBatch),
       .heads = task_.configuration.numHeads,
       .headStride = folded().headStride(kvBatch),
       .keysPerHead = projected().keyCount(kvBatch),
       .mask = arguments.headMask(batchRow, 0).fromToken(chunk + begin),
       .maskHeadStride = arguments.maskHeadStride(),
       .logSumExp = task_.activations.logSumExpOf(task_.configuration, batchRow, 0) + chunk + begin,
       .logSumExpHeadStride = arguments.layout.tokens,
       .probabilities = block(probabilities_, rows(kvBatch)),
       .scoreGradients = scoreGradients});
  // The packed input is no longer needed. Its memory takes the gradient before it is unpacked: see
  // ForwardPass.
  linalg::multiply<T>(folded().keysTransposed(kvBatch), scoreGradients, input);
  linalg::unpackColumns<T>(input, task_.inputGradientTokens(batchRow, chunk + begin, count));
}

template <class T>
void FoldedGradients<T>::packTokens(Index batchRow, Index chunk, Index count, Index firstChannel,
                                    Index maxChannels) {
  const auto part = [&](MatrixView<const T> tokens) {
    return tokens.rowRange(firstChannel, std::min(maxChannels, tokens.rows - firstChannel));
  };
  const auto pack = [&](MatrixView<const T> channels, Buffer<T>& buffer) {
    linalg::packColumns<T>(channels.transposed(), buffer.data() + firstChannel * count);
  };
  if (firstChannel < queryDim()) {
    pack(part(task_.inputTokens(batchRow, chunk, count)), inputTransposed_);
  }
  if (firstChannel >= outputDim()) return;
  const MatrixView<const T> gradient = part(task_.outputGradientTokens(batchRow, chunk, count));
  pack(gradient, outputGradientTransposed_);
  task_.parameters.addBiasGradient(ParameterId::kOutputBias, gradient, firstChannel);
}

template <class T>
void FoldedGradients<T>::addFoldedGradients(Index kvBatch, Index count, Index firstRow, Index rows,
                                            Start start, Scratch& scratch) {
  T* memory = scratch.take<T>(rowPanelsSize<T>(rows, count));
  const auto accumulate = [&](Buffer<T>& left, Buffer<T>& right, Buffer<T>& gradient, Index channels) {
    const Index allRows = this->rows(kvBatch);
    linalg::multiply<T>(
        packRows<T>(columnPanels<const T>(left.data(), allRows, count).depthRange(firstRow, rows), memory),
        columnPanels<const T>(right.data(), count, channels),
        columnPanels(gradient.data(), allRows, channels).depthRange(firstRow, rows), start);
  };
  accumulate(scoreGradients_, inputTransposed_, foldedKeyGradient_, queryDim());
  accumulate(probabilities_, outputGradientTransposed_, foldedValueGradient_, outputDim());
}

template <class T>
void FoldedGradients<T>::addEnd(Schedule& schedule, Index kvBatch) {
  const Index keys = projected().keyCount(kvBatch);
  const Index headDim = task_.configuration.headDim();
  const auto rowsBytes = [](Index rows, Index depth) {
    return Scratch::bytesFor<T>(rowPanelsSize<T>(rows, depth));
  };
  const ByteCount scratchBytes =
      Scratch::bytesFor<T>(columnPanelsSize<T>(std::max(queryDim(), outputDim()), keys)) +
      rowsBytes(outputDim(), keys) + Scratch::bytesFor<T>(columnPanelsSize<T>(keys, headDim));
  schedule.add(2 * task_.configuration.numHeads, scratchBytes, [=, this](Index task, Scratch& scratch) {
    if (task % 2 == 0) {
      unfoldKeys(kvBatch, task / 2, scratch);
    } else {
      unfoldValues(kvBatch, task / 2, scratch);
    }
  });
}

template <class T>
void FoldedGradients<T>::unfoldKeys(Index kvBatch, Index head, Scratch& scratch) {
  const Index channels = queryDim();
  const Index headDim = task_.configuration.headDim();
  const Index keys = projected().keyCount(kvBatch);
  const ColumnPanels<const T> gradient = ofHead(foldedKeyGradient_, channels, kvBatch, head);
  if (task_.parameters.isTrainable(ParameterId::kQuery)) {
    T* weightGradient = task_.parameters.gradients(ParameterId::kQuery).data() + head * headDim * channels;
    linalg::multiply<T>(projected().keysTransposed(kvBatch, head), gradient,
                        rowMajor(weightGradient, headDim, channels), Start::kAccumulate);
  }

  linalg::multiply<T>(
      task_.weights.ofHead(PackedWeight::kQueryPerHead, head),
      linalg::packTransposed<T>(gradient, scratch.take<T>(columnPanelsSize<T>(channels, keys))),
      task_.keyGradients.rows(task_.keyGradients.keys, head * headDim, headDim,
                              roundUp(keys, kTileColumns<T>)));
}

template <class T>
void FoldedGradients<T>::unfoldValues(Index kvBatch, Index head, Scratch& scratch) {
  const Index channels = outputDim();
  const Index headDim = task_.configuration.headDim();
  const Index keys = projected().keyCount(kvBatch);
  const ColumnPanels<T> gradient =
      linalg::packTransposed<T>(ofHead(foldedValueGradient_, channels, kvBatch, head),
                                scratch.take<T>(columnPanelsSize<T>(channels, keys)));
  if (task_.parameters.isTrainable(ParameterId::kOutput)) {
    linalg::multiply<T>(packRows<T>(gradient, scratch.take<T>(rowPanelsSize<T>(channels, keys))),
                        linalg::packTransposed<T>(projected().valueColumns(kvBatch, head),
                                                  scratch.take<T>(columnPanelsSize<T>(keys, headDim))),
                        rowMajor(task_.parameters.gradients(ParameterId::kOutput).data(), channels,
                                 task_.configuration.innerDim())
                            .columnRange(head * headDim, headDim),
                        Start::kAccumulate);
  }
  linalg::multiply<T>(task_.weights.ofHead(PackedWeight::kOutputTransposedPerHead, head), gradient,
                      task_.keyGradients.rows(task_.keyGradients.values, head * headDim, headDim,
                                              roundUp(keys, kTileColumns<T>)));
}

// Only for the types of kFoldsGradients.
template class FoldedGradients<float>;

}  // namespace cross_attention::layer
