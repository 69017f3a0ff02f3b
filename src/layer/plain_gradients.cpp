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
using linalg::MatrixView;
using linalg::packColumns;
using linalg::packRows;
using linalg::rowMajor;
using linalg::RowPanels;
using linalg::rowPanelsSize;
using linalg::Start;

}  // namespace

template <class T>
PlainGradients<T>::PlainGradients(const GradientTask<T>& task)
    : task_(task),
      queryProjection_(Projection<T>::ofQuery(task.configuration, task.parameters)),
      normGradients_(task.configuration) {
  const auto allocate = [&](Buffer<T>& buffer, Index channels) {
    buffer = Buffer<T>(columnPanelsSize<T>(channels, task.plan.chunk));
  };
  allocate(input_, queryDim());
  allocate(outputGradient_, outputDim());
  for (Buffer<T>* buffer : {&query_, &attended_, &queryGradient_}) allocate(*buffer, innerDim());
  allocate(attendedGradient_, std::max(innerDim(), queryDim()));
  if (task.configuration.hasNorm()) allocate(rawQuery_, innerDim());
  inputTransposed_ = Buffer<T>(columnPanelsSize<T>(task.plan.chunk, queryDim()));
  attendedTransposed_ = Buffer<T>(columnPanelsSize<T>(task.plan.chunk, innerDim()));
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
  const Index transposeTasks = ceilDivide(std::max(queryDim(), innerDim()), tokenBlock);
  schedule.add(blocks + transposeTasks, 0, [=, this](Index task, Scratch&) {
    if (task < blocks) {
      inputGradientBlock(batchRow, begin, task * tokenBlock, blockCount(task));
    } else {
      transposeRows(count, (task - blocks) * tokenBlock, tokenBlock);
    }
  });
  const Index channels = std::max(innerDim(), outputDim());
  const Index taskChannels = planTaskRows<T>(channels);
  schedule.add(ceilDivide(channels, taskChannels),
               2 * Scratch::bytesFor<T>(rowPanelsSize<T>(taskChannels, count)),
               [=, this](Index task, Scratch& scratch) {
                 const Index row = task * taskChannels;
                 const auto rowsOf = [=](Index all) { return std::min(taskChannels, all - row); };
                 if (row < innerDim()) queryWeightGradient(count, row, rowsOf(innerDim()), scratch);
                 if (row < outputDim()) {
                   outputWeightGradient(batchRow, begin, count, row, rowsOf(outputDim()), scratch);
                 }
               });
}

template <class T>
void PlainGradients<T>::projectBlock(Index batchRow, Index chunk, Index begin, Index count) {
  const Index panel = begin / kTileColumns<T>;
  const Index lastPanel = panel + ceilDivide(count, kTileColumns<T>);
  const auto block = [&](Buffer<T>& buffer, Index channels) {
    return columnPanels(buffer.data(), channels, begin + count).panelRange(panel, lastPanel);
  };
  const auto pack = [&](MatrixView<const T> tokens, Buffer<T>& buffer) {
    return packColumns<T>(tokens, block(buffer, tokens.rows).data);
  };
  const ColumnPanels<T> query = block(query_, innerDim());
  projectQuery<T>(queryProjection_, task_.weights[PackedWeight::kQuery],
                  pack(task_.inputTokens(batchRow, chunk + begin, count), input_), query);
  if (!rawQuery_.empty()) {
    std::copy_n(query.data, columnPanelsSize<T>(innerDim(), count), block(rawQuery_, innerDim()).data);
    normalizeQuery(queryProjection_, task_.configuration.headDim(), query);
  }
  linalg::multiply<T>(task_.weights[PackedWeight::kOutputTransposed],
                      pack(task_.outputGradientTokens(batchRow, chunk + begin, count), outputGradient_),
                      block(attendedGradient_, innerDim()));
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
  if (rawQuery_.empty()) return;
  for (Index panel = 0; panel < ceilDivide(count, kTileColumns<T>); ++panel) {
    attention::normalizeHeadBackward<T>(queryProjection_.norm,
                                        attention::panelMatrix(ofHead(rawQuery_), panel),
                                        attention::panelMatrix(ofHead(queryGradient_), panel),
                                        normGradients_.weight(head), normGradients_.bias(head));
  }
}

template <class T>
void PlainGradients<T>::inputGradientBlock(Index batchRow, Index chunk, Index begin, Index count) {
  const Index panel = begin / kTileColumns<T>;
  const auto block = [&](Buffer<T>& buffer, Index channels) {
    return columnPanels(buffer.data(), channels, begin + count)
        .panelRange(panel, panel + ceilDivide(count, kTileColumns<T>));
  };
  // The attended gradient is no longer needed. Its memory takes the product before it is unpacked: see
  // ForwardPass.
  const ColumnPanels<T> gradient = block(attendedGradient_, queryDim());
  linalg::multiply<T>(task_.weights[PackedWeight::kQueryTransposed], block(queryGradient_, innerDim()),
                      gradient);
  linalg::unpackColumns<T>(gradient, task_.inputGradientTokens(batchRow, chunk + begin, count));
}

template <class T>
void PlainGradients<T>::transposeRows(Index tokens, Index firstRow, Index maxRows) {
  const auto transpose = [&](Buffer<T>& source, Index channels, Buffer<T>& destination) {
    if (firstRow >= channels) return;
    linalg::packTransposed<T>(columnPanels(source.data(), channels, tokens)
                                  .depthRange(firstRow, std::min(maxRows, channels - firstRow)),
                              destination.data() + firstRow * tokens);
  };
  transpose(input_, queryDim(), inputTransposed_);
  transpose(attended_, innerDim(), attendedTransposed_);
}

template <class T>
void PlainGradients<T>::queryWeightGradient(Index tokens, Index firstRow, Index rows, Scratch& scratch) {
  const ColumnPanels<T> gradient = chunkPanels(queryGradient_, tokens).depthRange(firstRow, rows);
  if (task_.parameters.isTrainable(ParameterId::kQuery)) {
    linalg::multiply<T>(
        packRows<T>(gradient, scratch.take<T>(rowPanelsSize<T>(rows, tokens))),
        columnPanels<const T>(inputTransposed_.data(), tokens, queryDim()),
        rowMajor(task_.parameters.gradients(ParameterId::kQuery).data() + firstRow * queryDim(), rows,
                 queryDim()),
        Start::kAccumulate);
  }
  if (queryProjection_.bias == nullptr) return;
  for (Index panel = 0; panel < gradient.panels(); ++panel) {
    task_.parameters.addBiasGradient(ParameterId::kQueryBias, attention::panelMatrix(gradient, panel),
                                     firstRow);
  }
}

template <class T>
void PlainGradients<T>::outputWeightGradient(Index batchRow, Index begin, Index tokens, Index firstRow,
                                             Index rows, Scratch& scratch) {
  const ColumnPanels<T> gradient =
      columnPanels(outputGradient_.data(), outputDim(), tokens).depthRange(firstRow, rows);
  if (task_.parameters.isTrainable(ParameterId::kOutput)) {
    linalg::multiply<T>(
        packRows<T>(gradient, scratch.take<T>(rowPanelsSize<T>(rows, tokens))),
        columnPanels<const T>(attendedTransposed_.data(), tokens, innerDim()),
        rowMajor(task_.parameters.gradients(ParameterId::kOutput).data() + firstRow * innerDim(), rows,
                 innerDim()),
        Start::kAccumulate);
  }
  task_.parameters.addBiasGradient(
      ParameterId::kOutputBias, task_.outputGradientTokens(batchRow, begin, tokens).rowRange(firstRow, rows),
      firstRow);
}

template <class T>
void PlainGradients<T>::addEnd(Schedule& schedule, Index) {
  if (rawQuery_.empty()) return;
  schedule.add(1, 0, [this](Index, Scratch&) {
    normGradients_.addTo(task_.parameters, ParameterId::kQueryNorm, ParameterId::kQueryNormBias);
  });
}

template class PlainGradients<float>;
template class PlainGradients<double>;

}  // namespace cross_attention::layer
