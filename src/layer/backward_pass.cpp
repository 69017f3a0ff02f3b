#include "layer/backward_pass.hpp"

#include <algorithm>
#include <utility>

#include "attention/flash_backward.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

namespace {

using linalg::ColumnPanels;
using linalg::columnPanels;
using linalg::columnPanelsSize;
using linalg::kTileColumns;
using linalg::kTileRows;
using linalg::MatrixView;
using linalg::packColumns;
using linalg::packRows;
using linalg::rowMajor;
using linalg::RowPanels;
using linalg::rowPanelsSize;
using linalg::Start;

template <class T>
std::shared_ptr<const PackedWeights<T>> require(std::shared_ptr<PackedWeights<T>> weights,
                                                const std::shared_ptr<Workspace>& workspace,
                                                bool folded) {
  if (folded) {
    weights->require({PackedWeight::kQueryOfHeads, PackedWeight::kOutputTransposedOfHeads},
                     workspace);
    return weights;
  }
  weights->require(
      {PackedWeight::kQuery, PackedWeight::kQueryTransposed, PackedWeight::kOutputTransposed},
      workspace);
  return weights;
}

template <class T>
bool isFolded(const Activations<T>& activations) {
  return kFoldsGradients<T> && activations.projected->folded() != nullptr;
}

}  // namespace

template <class T>
BackwardPass<T>::BackwardPass(const Configuration& configuration, Parameters<T>& parameters,
                              std::shared_ptr<PackedWeights<T>> weights,
                              std::shared_ptr<Workspace> workspace,
                              const Activations<T>& activations, const Tensor<T>& outputGradient)
    : configuration_(configuration),
      parameters_(parameters),
      weights_(require(std::move(weights), workspace, isFolded(activations))),
      activations_(activations),
      arguments_(activations.arguments),
      projected_(*activations.projected),
      outputGradient_(outputGradient),
      folded_(isFolded(activations)),
      plan_(
          planBackward<T>(configuration, arguments_.layout.tokens, projected_.mostKeys(), folded_)),
      inputGradient_(arguments_.layout.shape),
      keyGradients_(configuration.queryDim, projected_.mostKeys()),
      schedule_(std::move(workspace)) {
  const Index channels = configuration.queryDim;
  const Index contextDim = configuration.contextDim;
  const Index mostKeys = projected_.mostKeys();
  if (!arguments_.context.isInput) {
    contextGradient_ = Tensor<T>::zeros(arguments_.context.layout.shape);
  }
  contextPanels_ = Buffer<T>(columnPanelsSize<T>(mostKeys, contextDim));
  keyWeightPanels_ = Buffer<T>(columnPanelsSize<T>(channels, contextDim));
  valueWeightPanels_ = Buffer<T>(columnPanelsSize<T>(channels, contextDim));
  allocateChunk();

  const TokenLayout& layout = arguments_.layout;
  for (Index batchRow = 0; batchRow < layout.batch; ++batchRow) {
    const Index set = projected_.setOf(batchRow);
    const bool startsSet = batchRow == 0 || projected_.sets() > 1;
    if (startsSet && !folded_) addSetStart();
    for (Index begin = 0; begin < layout.tokens; begin += plan_.chunk) {
      const Index count = std::min(plan_.chunk, layout.tokens - begin);
      addChunk(batchRow, begin, count, startsSet && begin == 0);
    }
    if (batchRow == layout.batch - 1 || projected_.sets() > 1) addSet(set);
  }
  statistics_ = {.happened = true,
                 .shapes = {NamedShape{"output gradient", layout.shape}},
                 .tokenBlock = plan_.tokenBlock,
                 .keyBlock = plan_.keyBlock,
                 .flops = flops()};
}

template <class T>
void BackwardPass<T>::allocateChunk() {
  if constexpr (kFoldsGradients<T>) {
    if (folded_) {
      foldedGradients_.emplace(typename FoldedGradients<T>::Task{.configuration = configuration_,
                                                                 .parameters = parameters_,
                                                                 .weights = *weights_,
                                                                 .activations = activations_,
                                                                 .outputGradient = outputGradient_,
                                                                 .inputGradient = inputGradient_,
                                                                 .plan = plan_,
                                                                 .keyGradients = keyGradients_});
      return;
    }
  }
  const Index channels = configuration_.queryDim;
  for (Buffer<T>* buffer : {&input_, &outputGradientPanels_, &query_, &attended_,
                            &attendedGradient_, &queryGradient_}) {
    *buffer = Buffer<T>(columnPanelsSize<T>(channels, plan_.chunk));
  }
  inputTransposed_ = Buffer<T>(columnPanelsSize<T>(plan_.chunk, channels));
  attendedTransposed_ = Buffer<T>(columnPanelsSize<T>(plan_.chunk, channels));
}

template <class T>
void BackwardPass<T>::addSetStart() {
  schedule_.add(1, 0, [this](Index, Scratch&) {
    keyGradients_.keys.clear();
    keyGradients_.values.clear();
  });
}

template <class T>
void BackwardPass<T>::addChunk(Index batchRow, Index begin, Index count, bool isFirst) {
  if constexpr (kFoldsGradients<T>) {
    if (folded_) return foldedGradients_->addChunk(schedule_, batchRow, begin, count, isFirst);
  }
  const Index channels = configuration_.queryDim;
  const Index blocks = ceilDivide(count, plan_.tokenBlock);
  const auto blockCount = [this, count](Index block) {
    return std::min(plan_.tokenBlock, count - block * plan_.tokenBlock);
  };
  schedule_.add(blocks, 0, [=, this](Index block, Scratch&) {
    projectBlock(batchRow, begin, block * plan_.tokenBlock, blockCount(block));
  });
  schedule_.add(configuration_.numHeads,
                Scratch::bytesFor<T>(attention::flashBackwardScratch<T>(
                    configuration_.headDim(), plan_.tokenBlock, plan_.keyBlock)),
                [=, this](Index head, Scratch& scratch) {
                  attendHead(batchRow, begin, count, head, scratch);
                });
  const Index transposeTasks = ceilDivide(channels, plan_.tokenBlock);
  schedule_.add(blocks + transposeTasks, 0, [=, this](Index task, Scratch&) {
    if (task < blocks) {
      inputGradientBlock(batchRow, begin, task * plan_.tokenBlock, blockCount(task));
    } else {
      const Index row = (task - blocks) * plan_.tokenBlock;
      transposeRows(count, row, std::min(plan_.tokenBlock, channels - row));
    }
  });
  const Index taskChannels = planTaskRows<T>(channels);
  schedule_.add(ceilDivide(channels, taskChannels),
                Scratch::bytesFor<T>(rowPanelsSize<T>(taskChannels, count)),
                [=, this](Index task, Scratch& scratch) {
                  const Index row = task * taskChannels;
                  const Index rows = std::min(taskChannels, channels - row);
                  weightGradientRows(count, row, rows, scratch);
                  parameters_.addBiasGradient(
                      arguments_.layout.channelsByTokens(outputGradient_.data(), batchRow)
                          .columnRange(begin, count)
                          .rowRange(row, rows),
                      row);
                });
}

template <class T>
void BackwardPass<T>::projectBlock(Index batchRow, Index chunk, Index begin, Index count) {
  const Index panel = begin / kTileColumns<T>;
  const Index lastPanel = panel + ceilDivide(count, kTileColumns<T>);
  const auto block = [&](Buffer<T>& buffer) {
    return chunkPanels(buffer, begin + count).panelRange(panel, lastPanel);
  };
  const auto pack = [&](const Tensor<T>& tensor, Buffer<T>& buffer) {
    const MatrixView<const T> all = arguments_.layout.channelsByTokens(tensor.data(), batchRow);
    return packColumns<T>(all.columnRange(chunk + begin, count), block(buffer).data);
  };
  linalg::multiply<T>((*weights_)[PackedWeight::kQuery], pack(arguments_.input, input_),
                      block(query_));
  linalg::multiply<T>((*weights_)[PackedWeight::kOutputTransposed],
                      pack(outputGradient_, outputGradientPanels_), block(attendedGradient_));
}

template <class T>
void BackwardPass<T>::attendHead(Index batchRow, Index chunk, Index count, Index head,
                                 Scratch& scratch) {
  const Index headDim = configuration_.headDim();
  const Index set = projected_.setOf(batchRow);
  const Index keys = projected_.keyCount(set);
  const auto ofHead = [&](Buffer<T>& buffer) {
    return chunkPanels(buffer, count).depthRange(head * headDim, headDim);
  };
  attention::flashBackward<T>(
      {.query = ofHead(query_),
       .outputGradient = ofHead(attendedGradient_),
       .keys = projected_.keys(set, head),
       .keysTransposed = projected_.keysTransposed(set, head),
       .values = projected_.values(set, head),
       .valuesTransposed = projected_.valuesTransposed(set, head),
       .mask = arguments_.headMask(batchRow, head).fromToken(chunk),
       .logSumExp = activations_.logSumExpOf(configuration_, batchRow, head) + chunk,
       .tokenBlock = plan_.tokenBlock,
       .keyBlock = plan_.keyBlock,
       .output = ofHead(attended_),
       .queryGradient = ofHead(queryGradient_),
       .keyGradient = keyGradients_.rows(keyGradients_.keys, head * headDim, headDim, keys),
       .valueGradient = keyGradients_.rows(keyGradients_.values, head * headDim, headDim, keys)},
      scratch.take<T>(
          attention::flashBackwardScratch<T>(headDim, plan_.tokenBlock, plan_.keyBlock)));
}

template <class T>
void BackwardPass<T>::inputGradientBlock(Index batchRow, Index chunk, Index begin, Index count) {
  const Index panel = begin / kTileColumns<T>;
  const auto block = [&](Buffer<T>& buffer) {
    return chunkPanels(buffer, begin + count)
        .panelRange(panel, panel + ceilDivide(count, kTileColumns<T>));
  };
  // The gradient of what was attended has been used: its memory serves on the way to an image (see ForwardPass).
  const ColumnPanels<T> gradient = block(attendedGradient_);
  linalg::multiply<T>((*weights_)[PackedWeight::kQueryTransposed], block(queryGradient_), gradient);
  linalg::unpackColumns<T>(gradient,
                           arguments_.layout.channelsByTokens(inputGradient_.data(), batchRow)
                               .columnRange(chunk + begin, count));
}

template <class T>
void BackwardPass<T>::transposeRows(Index tokens, Index firstRow, Index rows) {
  const auto transpose = [&](Buffer<T>& source, Buffer<T>& destination) {
    linalg::packTransposed<T>(chunkPanels(source, tokens).depthRange(firstRow, rows),
                              destination.data() + firstRow * tokens);
  };
  transpose(input_, inputTransposed_);
  transpose(attended_, attendedTransposed_);
}

template <class T>
void BackwardPass<T>::weightGradientRows(Index tokens, Index firstRow, Index rows,
                                         Scratch& scratch) {
  const Index channels = configuration_.queryDim;
  T* memory = scratch.take<T>(rowPanelsSize<T>(rows, tokens));
  const auto accumulate = [&](Buffer<T>& left, Buffer<T>& right, ParameterId id) {
    const RowPanels<T> leftRows =
        packRows<T>(chunkPanels(left, tokens).depthRange(firstRow, rows), memory);
    linalg::multiply<T>(
        leftRows, columnPanels<const T>(right.data(), tokens, channels),
        rowMajor(parameters_.gradients(id).data() + firstRow * channels, rows, channels),
        Start::kAccumulate);
  };
  accumulate(queryGradient_, inputTransposed_, ParameterId::kQuery);
  accumulate(outputGradientPanels_, attendedTransposed_, ParameterId::kOutput);
}

template <class T>
void BackwardPass<T>::addSet(Index set) {
  const Index channels = configuration_.queryDim;
  const Index contextDim = configuration_.contextDim;
  const Index keys = projected_.keyCount(set);
  if (keys == 0) return;
  if constexpr (kFoldsGradients<T>) {
    if (folded_) foldedGradients_->addSetEnd(schedule_, set);
  }
  const bool gathers = projected_.keyNumbers(set) != nullptr;
  // The weights are the same for all sets.
  const bool packsWeights = !std::exchange(weightsArePacked_, true);
  schedule_.add(
      packsWeights ? 3 : 1, gathers ? Scratch::bytesFor<T>(ByteCount{keys} * contextDim) : 0,
      [=, this](Index task, Scratch& scratch) {
        if (task == 0) {
          T* gathered = gathers ? scratch.take<T>(keys * contextDim) : nullptr;
          packColumns<T>(projected_.contextRows(arguments_.context, set, 0, keys, gathered),
                         contextPanels_.data());
          // The scores were scaled by way of the keys; their gradient still is without it.
          const T scale = static_cast<T>(configuration_.softmaxScale() * attention::kLog2E);
          std::for_each_n(keyGradients_.keys.data(), channels * keyGradients_.stride,
                          [scale](T& value) { value *= scale; });
        } else {
          const ParameterId id = task == 1 ? ParameterId::kKey : ParameterId::kValue;
          packColumns<T>(rowMajor(parameters_.values(id).data(), channels, contextDim),
                         (task == 1 ? keyWeightPanels_ : valueWeightPanels_).data());
        }
      });
  const Index taskChannels = planTaskRows<T>(channels);
  const Index taskKeys = planTaskRows<T>(keys);
  const Index weightTasks = ceilDivide(channels, taskChannels);
  const Index contextTasks = ceilDivide(keys, taskKeys);
  const ByteCount scratchBytes = Scratch::bytesFor<T>(rowPanelsSize<T>(
                                  std::max(taskChannels, taskKeys), std::max(keys, channels))) +
                              Scratch::bytesFor<T>(ByteCount{taskKeys} * contextDim);
  schedule_.add(weightTasks + contextTasks, scratchBytes, [=, this](Index task, Scratch& scratch) {
    if (task < weightTasks) {
      const Index row = task * taskChannels;
      contextWeightGradientRows(set, row, std::min(taskChannels, channels - row), scratch);
    } else {
      const Index key = (task - weightTasks) * taskKeys;
      contextGradientRows(set, key, std::min(taskKeys, keys - key), scratch);
    }
  });
}

template <class T>
void BackwardPass<T>::contextWeightGradientRows(Index set, Index firstRow, Index rows,
                                                Scratch& scratch) {
  const Index contextDim = configuration_.contextDim;
  const Index keys = projected_.keyCount(set);
  T* memory = scratch.take<T>(rowPanelsSize<T>(rows, keys));
  const auto accumulate = [&](Buffer<T>& gradient, ParameterId id) {
    const RowPanels<T> left =
        packRows<T>(keyGradients_.rows(gradient, firstRow, rows, keys), memory);
    linalg::multiply<T>(
        left, columnPanels<const T>(contextPanels_.data(), keys, contextDim),
        rowMajor(parameters_.gradients(id).data() + firstRow * contextDim, rows, contextDim),
        Start::kAccumulate);
  };
  accumulate(keyGradients_.keys, ParameterId::kKey);
  accumulate(keyGradients_.values, ParameterId::kValue);
}

template <class T>
void BackwardPass<T>::contextGradientRows(Index set, Index firstKey, Index keys, Scratch& scratch) {
  const Index channels = configuration_.queryDim;
  const Index contextDim = configuration_.contextDim;
  const Index allKeys = projected_.keyCount(set);
  T* memory = scratch.take<T>(rowPanelsSize<T>(keys, channels));
  const MatrixView<T> rows = rowMajor(scratch.take<T>(keys * contextDim), keys, contextDim);
  const auto multiply = [&](Buffer<T>& gradient, Buffer<T>& weight, Start start) {
    const RowPanels<T> left = packRows<T>(
        keyGradients_.rows(gradient, 0, channels, allKeys).columnRange(firstKey, keys).transposed(),
        memory);
    linalg::multiply<T>(left, columnPanels<const T>(weight.data(), channels, contextDim), rows,
                        start);
  };
  multiply(keyGradients_.keys, keyWeightPanels_, Start::kZero);
  multiply(keyGradients_.values, valueWeightPanels_, Start::kAccumulate);
  // For self-attention the context's gradient is another part of the input's.
  const Context<T>& context = arguments_.context;
  Tensor<T>& result = context.isInput ? inputGradient_ : *contextGradient_;
  const MatrixView<T> destination =
      context.layout.channelsByTokens(result.data(), context.layout.batch == 1 ? 0 : set)
          .transposed();
  const Index* numbers = projected_.keyNumbers(set);
  for (Index key = 0; key < keys; ++key) {
    const Index row = numbers == nullptr ? firstKey + key : numbers[firstKey + key];
    for (Index column = 0; column < contextDim; ++column) {
      *destination.at(row, column) += *rows.at(key, column);
    }
  }
}

template <class T>
double BackwardPass<T>::flops() const {
  const auto c = static_cast<double>(configuration_.queryDim);
  const auto d = static_cast<double>(configuration_.contextDim);
  const auto n = static_cast<double>(arguments_.layout.tokens);
  const auto heads = static_cast<double>(configuration_.numHeads);
  const auto batch = static_cast<double>(arguments_.layout.batch);
  double flops = 0;
  // Per token: q, dO, dx, dWq, dWo. Per token and key: scores, output, dP, dq, dk, dv, and the scores once more where
  // the keys do not fit one tile. Folded, per token, key and head: scores, dP, dx, dM, dG.
  if (!folded_) flops += batch * 10 * n * c * c;
  for (Index row = 0; row < arguments_.layout.batch; ++row) {
    const Index keys = projected_.keyCount(projected_.setOf(row));
    const double perKey = folded_ ? 10 * heads : keys > plan_.keyBlock ? 14 : 12;
    flops += perKey * n * c * static_cast<double>(keys);
  }
  // Per key: dWk, dWv, and dc by two products. Folded, too: dWq, dk, dWo, dv.
  for (Index set = 0; set < projected_.sets(); ++set) {
    flops +=
        (8 * d * c + (folded_ ? 8 * c * c : 0)) * static_cast<double>(projected_.keyCount(set));
  }
  return flops;
}

template class BackwardPass<float>;
template class BackwardPass<double>;

}  // namespace cross_attention::layer
