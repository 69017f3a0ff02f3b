#include "layer/forward_pass.hpp"

#include <algorithm>

#include "attention/flash_forward.hpp"
#include "attention/folded_forward.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

namespace {

template <class T>
std::shared_ptr<const PackedWeights<T>> require(std::shared_ptr<PackedWeights<T>> weights,
                                                const std::shared_ptr<Workspace>& workspace,
                                                bool folded, bool contextIsReady) {
  if (!contextIsReady) {
    weights->require(
        {folded ? PackedWeight::kQueryTransposed : PackedWeight::kQuery, PackedWeight::kOutput,
         PackedWeight::kKeyOfHeads, PackedWeight::kValueOfHeads},
        workspace);
  } else if (!folded) {
    weights->require({PackedWeight::kQuery, PackedWeight::kOutput}, workspace);
  }
  return weights;
}

}  // namespace

template <class T>
ForwardPass<T>::ForwardPass(const Configuration& configuration, const Parameters<T>& parameters,
                            std::shared_ptr<PackedWeights<T>> weights,
                            std::shared_ptr<Workspace> workspace, Arguments<T> arguments,
                            std::shared_ptr<const ProjectedContext<T>> ready,
                            const ForwardOptions& options)
    : configuration_(configuration),
      arguments_(std::move(arguments)),
      folded_(options.folds.value_or(arguments_.foldsContext(configuration))),
      weights_(require(std::move(weights), workspace, folded_, options.contextIsReady)),
      output_(options.repeats ? Tensor<T>(AnyTensor(arguments_.layout.shape, nullptr, 0))
                              : Tensor<T>(arguments_.layout.shape)),
      bias_(parameters.values(ParameterId::kOutputBias).data()),
      schedule_(std::move(workspace)) {
  const Context<T>& context = arguments_.context;
  const typename ProjectedContext<T>::Forms forms{
      .transposed = options.training, .folded = folded_, .repeats = options.repeats};
  if (options.contextIsReady ||
      (ready && ready->matches(parameters, context, arguments_.mask.keys.get(), forms))) {
    projected_ = std::move(ready);
    contextWasReady_ = true;
  } else {
    auto projected = std::make_shared<ProjectedContext<T>>(configuration, parameters, context,
                                                           arguments_.mask.keys, forms);
    // A training step changes the parameters, and with them every key and value: not worth a copy.
    if (!options.training && !options.repeats) projected->remember(context);
    projected->addStages(schedule_, *weights_, context);
    projected_ = std::move(projected);
  }
  if (options.training) {
    const TokenLayout& layout = arguments_.layout;
    activations_ = std::make_shared<Activations<T>>(
        Activations<T>{arguments_, projected_, parameters.version(),
                       Buffer<T>(ByteCount{layout.batch} * configuration.numHeads * layout.tokens)});
  }
  plan_ = planForward<T>(configuration, {.batch = arguments_.layout.batch,
                                         .tokens = arguments_.layout.tokens,
                                         .keys = projected_->mostKeys(),
                                         .folded = folded_,
                                         .leastTasks = options.leastTasks});
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
  ByteCount scratchBytes = panelsBytes(configuration_.queryDim);
  if (folded_) {
    const Index headStride = roundUp(projected_->mostKeys(), linalg::kTileRows<T>);
    scratchBytes += panelsBytes(configuration_.numHeads * headStride);
  } else {
    scratchBytes +=
        panelsBytes(configuration_.queryDim) +
        Scratch::bytesFor<T>(attention::flashForwardScratch<T>(plan_.tokenBlock, plan_.keyBlock));
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
linalg::ColumnPanels<T> ForwardPass<T>::packInput(Index batchRow, Index begin, Index count,
                                                  Scratch& scratch) const {
  return linalg::packColumns<T>(
      arguments_.layout.channelsByTokens(arguments_.input.data(), batchRow)
          .columnRange(begin, count),
      scratch.take<T>(linalg::columnPanelsSize<T>(configuration_.queryDim, count)));
}

template <class T>
T* ForwardPass<T>::logSumExpOf(Index batchRow, Index head, Index token) {
  if (activations_ == nullptr) return nullptr;
  return activations_->logSumExp.data() +
         (batchRow * configuration_.numHeads + head) * arguments_.layout.tokens + token;
}

template <class T>
void ForwardPass<T>::projectOutput(linalg::RowPanels<T> weight,
                                   linalg::ColumnPanels<const T> attended,
                                   linalg::ColumnPanels<T> result, Index batchRow, Index begin) {
  // Not straight into the output: an image's rows lie a power of two apart, where the sums, read and written once for
  // each block of the depth, would drive each other out of the cache.
  linalg::multiply<T>(weight, attended, result, linalg::Start::kBias, bias_);
  linalg::unpackColumns<T>(result, arguments_.layout.channelsByTokens(output_.data(), batchRow)
                                       .columnRange(begin, result.columns));
}

template <class T>
void ForwardPass<T>::runTokenBlock(Index batchRow, Index begin, Index count, Scratch& scratch) {
  using linalg::ColumnPanels;
  const Index headDim = configuration_.headDim();
  const ColumnPanels<T> input = packInput(batchRow, begin, count, scratch);
  const ColumnPanels<T> query = linalg::columnPanels(
      scratch.take<T>(linalg::columnPanelsSize<T>(input.depth, count)), input.depth, count);
  linalg::multiply<T>((*weights_)[PackedWeight::kQuery], input, query);

  // The input has been used: the heads' outputs take its place.
  const ColumnPanels<T> attended = input;
  T* flashScratch = scratch.take<T>(attention::flashForwardScratch<T>(count, plan_.keyBlock));
  const Index set = projected_->setOf(batchRow);
  for (Index head = 0; head < configuration_.numHeads; ++head) {
    attention::flashForward<T>({.query = query.depthRange(head * headDim, headDim),
                                .keys = projected_->keys(set, head),
                                .valuesTransposed = projected_->valuesTransposed(set, head),
                                .mask = arguments_.headMask(batchRow, head).fromToken(begin),
                                .keyBlock = plan_.keyBlock,
                                .output = attended.depthRange(head * headDim, headDim),
                                .logSumExp = logSumExpOf(batchRow, head, begin)},
                               flashScratch);
  }
  projectOutput((*weights_)[PackedWeight::kOutput], attended, query, batchRow, begin);
}

template <class T>
void ForwardPass<T>::runFoldedTokenBlock(Index batchRow, Index begin, Index count,
                                         Scratch& scratch) {
  const Index set = projected_->setOf(batchRow);
  const FoldedContext<T>& folded = *projected_->folded();
  const Index rows = folded.keys(set).rows;
  const linalg::ColumnPanels<T> probabilities =
      linalg::columnPanels(scratch.take<T>(linalg::columnPanelsSize<T>(rows, count)), rows, count);
  const linalg::ColumnPanels<T> input = packInput(batchRow, begin, count, scratch);
  attention::foldedForward<T>({.input = input,
                               .keys = folded.keys(set),
                               .heads = configuration_.numHeads,
                               .headStride = folded.headStride(set),
                               .keysPerHead = projected_->keyCount(set),
                               .mask = arguments_.headMask(batchRow, 0).fromToken(begin),
                               .maskHeadStride = arguments_.maskHeadStride(),
                               .probabilities = probabilities,
                               .logSumExp = logSumExpOf(batchRow, 0, begin),
                               .logSumExpHeadStride = arguments_.layout.tokens});
  projectOutput(folded.valuesTransposed(set), probabilities, input, batchRow, begin);
}

template <class T>
std::shared_ptr<const Activations<T>> ForwardPass<T>::takeActivations() {
  return std::move(activations_);
}

template <class T>
double ForwardPass<T>::flops() const {
  const auto c = static_cast<double>(configuration_.queryDim);
  const auto d = static_cast<double>(configuration_.contextDim);
  const auto n = static_cast<double>(arguments_.layout.tokens);
  const auto heads = static_cast<double>(configuration_.numHeads);
  double flops = 0;
  for (Index row = 0; row < arguments_.layout.batch; ++row) {
    const auto l = static_cast<double>(projected_->keyCount(projected_->setOf(row)));
    flops += folded_ ? 4 * n * heads * l * c : 4 * n * c * c + 4 * n * c * l;
  }
  if (contextWasReady_) return flops;
  for (Index set = 0; set < projected_->sets(); ++set) {
    const auto l = static_cast<double>(projected_->keyCount(set));
    flops += 4 * d * c * l + (folded_ ? 4 * l * c * c : 0);
  }
  return flops;
}

template class ForwardPass<float>;
template class ForwardPass<double>;

}  // namespace cross_attention::layer
