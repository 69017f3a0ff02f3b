#include "layer/context_gradients.hpp"

#include <algorithm>
#include <utility>

#include "attention/scores.hpp"
#include "layer/planner.hpp"
#include "layer/projection.hpp"

namespace cross_attention::layer {

namespace {

using linalg::columnPanels;
using linalg::columnPanelsSize;
using linalg::MatrixView;
using linalg::packColumns;
using linalg::packRows;
using linalg::rowMajor;
using linalg::RowPanels;
using linalg::rowPanelsSize;
using linalg::Start;

}  // namespace

template <class T>
ContextGradients<T>::ContextGradients(const Configuration& configuration, Parameters<T>& parameters,
                                      const PackedWeights<T>& weights, const Activations<T>& activations,
                                      KeyGradients<T>& keyGradients, Tensor<T>& contextGradient)
    : configuration_(configuration),
      parameters_(parameters),
      weights_(weights),
      activations_(activations),
      keyGradients_(keyGradients),
      contextGradient_(contextGradient),
      contextPanels_(columnPanelsSize<T>(projected().maxKeys(), configuration.contextDim)),
      keyWeightPanels_(columnPanelsSize<T>(configuration.innerDim(), configuration.contextDim)),
      valueWeightPanels_(columnPanelsSize<T>(configuration.innerDim(), configuration.contextDim)),
      contextColumns_(
          configuration.hasNorm() ? columnPanelsSize<T>(configuration.contextDim, projected().maxKeys()) : 0),
      normGradients_(configuration) {}

template <class T>
void ContextGradients<T>::addStages(Schedule& schedule, Index kvBatch) {
  const Index channels = configuration_.innerDim();
  const Index contextDim = configuration_.contextDim;
  const Index keys = projected().keyCount(kvBatch);
  const ByteCount gatheredBytes = projected().gatheredBytes(activations_.arguments, keys);
  const bool packsWeights = !std::exchange(weightsArePacked_, true);
  schedule.add(packsWeights ? 3 : 1, gatheredBytes, [=, this](Index task, Scratch& scratch) {
    if (task == 0) {
      T* gathered = gatheredBytes > 0 ? scratch.take<T>(keys * contextDim) : nullptr;
      const MatrixView<const T> rows =
          projected().contextRows(activations_.arguments, kvBatch, 0, keys, gathered);
      packColumns<T>(rows, contextPanels_.data());
      if (!contextColumns_.empty()) packColumns<T>(rows.transposed(), contextColumns_.data());
      // The keys include the scale of the scores. Their gradient does not include it yet.
      const T scale = static_cast<T>(configuration_.softmaxScale() * attention::kLog2E);
      std::for_each_n(keyGradients_.keys.data(), channels * keyGradients_.stride,
                      [scale](T& value) { value *= scale; });
    } else {
      const ParameterId id = task == 1 ? ParameterId::kKey : ParameterId::kValue;
      packColumns<T>(rowMajor(parameters_.effective(id).data(), channels, contextDim),
                     (task == 1 ? keyWeightPanels_ : valueWeightPanels_).data());
    }
  });
  if (configuration_.hasNorm()) addNormStages(schedule, kvBatch);
  const Index taskChannels = planTaskRows<T>(channels);
  const Index taskKeys = planTaskRows<T>(keys);
  const Index weightTasks = ceilDivide(channels, taskChannels);
  const Index contextTasks = ceilDivide(keys, taskKeys);
  const ByteCount scratchBytes =
      Scratch::bytesFor<T>(rowPanelsSize<T>(std::max(taskChannels, taskKeys), std::max(keys, channels))) +
      Scratch::bytesFor<T>(ByteCount{taskKeys} * contextDim);
  schedule.add(weightTasks + contextTasks, scratchBytes, [=, this](Index task, Scratch& scratch) {
    if (task < weightTasks) {
      const Index row = task * taskChannels;
      weightGradientRows(kvBatch, row, std::min(taskChannels, channels - row), scratch);
    } else {
      const Index key = (task - weightTasks) * taskKeys;
      contextGradientRows(kvBatch, key, std::min(taskKeys, keys - key), scratch);
    }
  });
}

template <class T>
void ContextGradients<T>::addNormStages(Schedule& schedule, Index kvBatch) {
  const Index headDim = configuration_.headDim();
  const Index keys = projected().keyCount(kvBatch);
  const Index width = roundUp(keys, linalg::kTileColumns<T>);
  schedule.add(configuration_.numHeads, Scratch::bytesFor<T>(ByteCount{headDim} * width),
               [=, this](Index head, Scratch& scratch) {
                 const Projection<T> projection = Projection<T>::ofKey(configuration_, parameters_);
                 const MatrixView<T> product = rowMajor(scratch.take<T>(headDim * width), headDim, width);
                 linalg::multiply<T>(
                     weights_.ofHead(PackedWeight::kKeyPerHead, head),
                     columnPanels<const T>(contextColumns_.data(), configuration_.contextDim, keys), product,
                     projection.start(), projection.biasFrom(head * headDim));
                 attention::normalizeHeadBackward<T>(
                     projection.norm, product.columnRange(0, keys),
                     keyGradients_.rows(keyGradients_.keys, head * headDim, headDim, keys),
                     normGradients_.weight(head), normGradients_.bias(head));
               });
  // Not the norm's bias: its gradient is zero, as that of bk without a norm.
  schedule.add(1, 0,
               [this](Index, Scratch&) { normGradients_.addTo(parameters_, ParameterId::kKeyNorm, {}); });
}

template <class T>
void ContextGradients<T>::weightGradientRows(Index kvBatch, Index firstRow, Index rows, Scratch& scratch) {
  const Index contextDim = configuration_.contextDim;
  const Index keys = projected().keyCount(kvBatch);
  T* memory = scratch.take<T>(rowPanelsSize<T>(rows, keys));
  const auto accumulate = [&](Buffer<T>& gradient, ParameterId id, ParameterId bias) {
    const MatrixView<const T> gradientRows = keyGradients_.rows(gradient, firstRow, rows, keys);
    if (bias == ParameterId::kValueBias || configuration_.hasNorm()) {
      parameters_.addBiasGradient(bias, gradientRows, firstRow);
    }
    if (!parameters_.isTrainable(id)) return;
    const RowPanels<T> left = packRows<T>(gradientRows, memory);
    linalg::multiply<T>(left, columnPanels<const T>(contextPanels_.data(), keys, contextDim),
                        rowMajor(parameters_.gradients(id).data() + firstRow * contextDim, rows, contextDim),
                        Start::kAccumulate);
  };
  accumulate(keyGradients_.keys, ParameterId::kKey, ParameterId::kKeyBias);
  accumulate(keyGradients_.values, ParameterId::kValue, ParameterId::kValueBias);
}

template <class T>
void ContextGradients<T>::contextGradientRows(Index kvBatch, Index firstKey, Index keys, Scratch& scratch) {
  const Index channels = configuration_.innerDim();
  const Index contextDim = configuration_.contextDim;
  const Index allKeys = projected().keyCount(kvBatch);
  T* memory = scratch.take<T>(rowPanelsSize<T>(keys, channels));
  const MatrixView<T> rows = rowMajor(scratch.take<T>(keys * contextDim), keys, contextDim);
  const auto multiply = [&](Buffer<T>& gradient, Buffer<T>& weight, Start start) {
    const RowPanels<T> left = packRows<T>(
        keyGradients_.rows(gradient, 0, channels, allKeys).columnRange(firstKey, keys).transposed(), memory);
    linalg::multiply<T>(left, columnPanels<const T>(weight.data(), channels, contextDim), rows, start);
  };
  multiply(keyGradients_.keys, keyWeightPanels_, Start::kZero);
  multiply(keyGradients_.values, valueWeightPanels_, Start::kAccumulate);
  const Context<T>& context = activations_.arguments.context;
  const MatrixView<T> destination =
      context.layout.channelsByTokens(contextGradient_.data(), context.layout.batch == 1 ? 0 : kvBatch)
          .transposed();
  const Index* indices = projected().keyIndices(kvBatch);
  for (Index key = 0; key < keys; ++key) {
    const Index row = indices == nullptr ? firstKey + key : indices[firstKey + key];
    for (Index column = 0; column < contextDim; ++column) {
      *destination.at(row, column) += *rows.at(key, column);
    }
  }
}

template class ContextGradients<float>;
template class ContextGradients<double>;

}  // namespace cross_attention::layer
