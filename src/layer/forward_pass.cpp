#include "layer/forward_pass.hpp"

#include <algorithm>
#include <utility>

#include "attention/flash_forward.hpp"
#include "attention/folded_forward.hpp"
#include "layer/cost.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

template <class T>
ForwardPass<T>::ForwardPass(PassInputs<T> inputs, Arguments<T> arguments, const PreparedContext<T>& context,
                            const ForwardOptions& options)
    : configuration_(inputs.configuration),
      weights_(std::move(inputs.weights)),
      arguments_(std::move(arguments)),
      projected_(context.projected),
      folded_(context.folded),
      contextWasFinished_(context.isFinished()),
      bytesBefore_(context.bytesBefore),
      output_(options.repeats ? Tensor<T>(AnyTensor(arguments_.outputLayout.shape, nullptr, 0))
                              : Tensor<T>(arguments_.outputLayout.shape)),
      queryProjection_(Projection<T>::ofQuery(configuration_, inputs.parameters)),
      bias_(inputs.parameters.find(ParameterId::kOutputBias)),
      schedule_(std::move(inputs.workspace)) {
  context.addStages(schedule_, *weights_, arguments_);
  const TokenLayout& layout = arguments_.layout;
  if (options.training) {
    activations_ = std::make_shared<Activations<T>>(
        Activations<T>{arguments_, projected_, inputs.parameters.version(),
                       Buffer<T>(ByteCount{layout.batch} * configuration_.numHeads * layout.tokens)});
  }
  if (options.record != nullptr) {
    recording_.emplace(*options.record, configuration_.numHeads, layout, *projected_);
  }
  plan_ = planForward<T>(configuration_, {.batch = layout.batch,
                                          .tokens = layout.tokens,
                                          .keys = projected_->maxKeys(),
                                          .folded = folded_,
                                          .minTasks = options.minTasks});
  addTokenBlocks();
  statistics_ = {.happened = true,
                 .shapes = arguments_.shapes(),
                 .tokenBlock = plan_.tokenBlock,
                 .keyBlock = plan_.keyBlock,
                 .flops = flops()};
}

template <class T>
void ForwardPass<T>::bind(const Tensor<T>& input, const Tensor<T>* context, const Tensor<T>* mask,
                          const Tensor<T>& output) {
  arguments_.input = input;
  if (context != nullptr) arguments_.context.tensor = *context;
  if (mask != nullptr) arguments_.mask.additive = *mask;
  output_ = output;
  schedule_.rewind();
}

template <class T>
void ForwardPass<T>::addTokenBlocks() {
  const TokenLayout& layout = arguments_.layout;
  const Index blocks = ceilDivide(layout.tokens, plan_.tokenBlock);
  const auto panelsBytes = [this](Index rows) {
    return Scratch::bytesFor<T>(linalg::columnPanelsSize<T>(rows, plan_.tokenBlock));
  };
  // Matrices of one block that are not needed at the same time share their memory.
  const Index inner = configuration_.innerDim();
  ByteCount scratchBytes =
      panelsBytes(std::max(configuration_.queryDim, folded_ ? configuration_.outputDim() : inner));
  if (folded_) {
    const Index headStride = roundUp(projected_->maxKeys(), linalg::kTileRows<T>);
    scratchBytes += panelsBytes(configuration_.numHeads * headStride);
  } else {
    scratchBytes += panelsBytes(std::max(inner, configuration_.outputDim())) +
                    Scratch::bytesFor<T>(attention::flashForwardScratch<T>(
                        plan_.tokenBlock, plan_.keyBlock, recording_ ? recording_->groups() : 0));
  }
  schedule_.add(layout.batch * blocks, scratchBytes, [=, this](Index task, Scratch& scratch) {
    const Index batchRow = task / blocks;
    const Index begin = task % blocks * plan_.tokenBlock;
    const Index count = std::min(plan_.tokenBlock, arguments_.layout.tokens - begin);
    if (folded_) {
      runFoldedTokenBlock(batchRow, begin, count, scratch);
    } else {
      runTokenBlock(batchRow, begin, count, scratch);
    }
  });
}

template <class T>
linalg::ColumnPanels<T> ForwardPass<T>::packInput(Index batchRow, Index begin, Index count, T* memory) const {
  return linalg::packColumns<T>(
      arguments_.layout.channelsByTokens(arguments_.input.data(), batchRow).columnRange(begin, count),
      memory);
}

template <class T>
T* ForwardPass<T>::logSumExpOf(Index batchRow, Index head, Index token) {
  if (activations_ == nullptr) return nullptr;
  return activations_->logSumExp.data() +
         (batchRow * configuration_.numHeads + head) * arguments_.layout.tokens + token;
}

template <class T>
void ForwardPass<T>::projectOutput(linalg::RowPanels<T> weight, linalg::ColumnPanels<const T> attended,
                                   linalg::ColumnPanels<T> result, Index batchRow, Index begin) {
  // Not directly into the output: the rows of an image are often a power of two apart, so that the sums,
  // which are read and written once for each block of the depth, would evict each other from the cache.
  linalg::multiply<T>(weight, attended, result,
                      bias_ == nullptr ? linalg::Start::kZero : linalg::Start::kBias, bias_);
  linalg::unpackColumns<T>(
      result,
      arguments_.outputLayout.channelsByTokens(output_.data(), batchRow).columnRange(begin, result.columns));
}

template <class T>
void ForwardPass<T>::runTokenBlock(Index batchRow, Index begin, Index count, Scratch& scratch) {
  using linalg::ColumnPanels;
  const Index headDim = configuration_.headDim();
  const Index inner = configuration_.innerDim();
  const Index outputDim = configuration_.outputDim();
  T* first = scratch.take<T>(linalg::columnPanelsSize<T>(std::max(configuration_.queryDim, inner), count));
  T* second = scratch.take<T>(linalg::columnPanelsSize<T>(std::max(inner, outputDim), count));
  const ColumnPanels<T> query = linalg::columnPanels(second, inner, count);
  projectQuery<T>(queryProjection_, (*weights_)[PackedWeight::kQuery],
                  packInput(batchRow, begin, count, first), query);
  normalizeQuery(queryProjection_, headDim, query);

  // The input is no longer needed: the outputs of the heads reuse its memory.
  const ColumnPanels<T> attended = linalg::columnPanels(first, inner, count);
  const Index kvBatch = projected_->kvBatchOf(batchRow);
  const attention::GroupSums<T> recorded = recordedOf(batchRow, kvBatch, begin);
  T* flashScratch =
      scratch.take<T>(attention::flashForwardScratch<T>(count, plan_.keyBlock, recorded.groups));
  for (Index head = 0; head < configuration_.numHeads; ++head) {
    attention::flashForward<T>({.query = query.depthRange(head * headDim, headDim),
                                .keys = projected_->keys(kvBatch, head),
                                .valuesTransposed = projected_->valuesTransposed(kvBatch, head),
                                .mask = arguments_.headMask(batchRow, head).fromToken(begin),
                                .keyBlock = plan_.keyBlock,
                                .output = attended.depthRange(head * headDim, headDim),
                                .logSumExp = logSumExpOf(batchRow, head, begin),
                                .recorded = recorded},
                               flashScratch);
  }
  projectOutput((*weights_)[PackedWeight::kOutput], attended, linalg::columnPanels(second, outputDim, count),
                batchRow, begin);
}

template <class T>
void ForwardPass<T>::runFoldedTokenBlock(Index batchRow, Index begin, Index count, Scratch& scratch) {
  const Index kvBatch = projected_->kvBatchOf(batchRow);
  const FoldedContext<T>& folded = *projected_->folded();
  const Index rows = folded.keys(kvBatch).rows;
  const linalg::ColumnPanels<T> probabilities =
      linalg::columnPanels(scratch.take<T>(linalg::columnPanelsSize<T>(rows, count)), rows, count);
  const Index outputDim = configuration_.outputDim();
  T* memory =
      scratch.take<T>(linalg::columnPanelsSize<T>(std::max(configuration_.queryDim, outputDim), count));
  const linalg::ColumnPanels<T> input = packInput(batchRow, begin, count, memory);
  attention::foldedForward<T>({.input = input,
                               .keys = folded.keys(kvBatch),
                               .keyBias = folded.keyBias(kvBatch),
                               .heads = configuration_.numHeads,
                               .headStride = folded.headStride(kvBatch),
                               .keysPerHead = projected_->keyCount(kvBatch),
                               .mask = arguments_.headMask(batchRow, 0).fromToken(begin),
                               .maskHeadStride = arguments_.maskHeadStride(),
                               .probabilities = probabilities,
                               .logSumExp = logSumExpOf(batchRow, 0, begin),
                               .logSumExpHeadStride = arguments_.layout.tokens,
                               .recorded = recordedOf(batchRow, kvBatch, begin)});
  projectOutput(folded.valuesTransposed(kvBatch), probabilities,
                linalg::columnPanels(memory, outputDim, count), batchRow, begin);
}

template <class T>
std::shared_ptr<const Activations<T>> ForwardPass<T>::takeActivations() {
  return std::move(activations_);
}

template <class T>
double ForwardPass<T>::flops() const {
  const auto tokens = static_cast<double>(arguments_.layout.tokens);
  const auto keysOf = [this](Index kvBatch) { return static_cast<double>(projected_->keyCount(kvBatch)); };
  double flops = 0;
  for (Index row = 0; row < arguments_.layout.batch; ++row) {
    flops += tokenFlops(configuration_, tokens, keysOf(projected_->kvBatchOf(row)), folded_);
  }
  if (contextWasFinished_) return flops;
  for (Index kvBatch = 0; kvBatch < projected_->kvBatches(); ++kvBatch) {
    flops += contextFlops(configuration_, keysOf(kvBatch), folded_);
  }
  return flops;
}

template class ForwardPass<float>;
template class ForwardPass<double>;

}  // namespace cross_attention::layer
