#include "layer/forward_pass.hpp"

#include <algorithm>

#include "attention/flash_forward.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

template <class T>
ForwardPass<T>::ForwardPass(const Configuration& configuration, const Parameters<T>& parameters,
                            std::shared_ptr<const PackedWeights<T>> weights,
                            std::shared_ptr<Workspace> workspace, Arguments<T> arguments,
                            std::shared_ptr<const ProjectedContext<T>> ready, bool training)
    : configuration_(configuration),
      weights_(std::move(weights)),
      arguments_(std::move(arguments)),
      output_(arguments_.layout.shape),
      bias_(parameters.values(ParameterId::kOutputBias).data()),
      schedule_(std::move(workspace)) {
  const Context<T>& context = arguments_.context;
  if (ready && ready->matches(parameters, context, arguments_.mask.keys.get(), training)) {
    projected_ = std::move(ready);
    contextWasReady_ = true;
  } else {
    auto projected = std::make_shared<ProjectedContext<T>>(configuration, parameters, context,
                                                           arguments_.mask.keys, training);
    // A training step changes the parameters, and with them every key and value: not worth a copy.
    if (!training) projected->remember(context);
    projected->addStages(schedule_, parameters, context);
    projected_ = std::move(projected);
  }
  if (training) {
    const TokenLayout& layout = arguments_.layout;
    activations_ = std::make_shared<Activations<T>>(
        Activations<T>{arguments_, projected_, parameters.version(),
                       Buffer<T>(Amount{layout.batch} * configuration.numHeads * layout.tokens)});
  }
  plan_ = planForward<T>(configuration, arguments_.layout.tokens, projected_->mostKeys());
  addTokenBlocks();
  statistics_ = {.happened = true,
                 .shapes = arguments_.describe(),
                 .tokenBlock = plan_.tokenBlock,
                 .keyBlock = plan_.keyBlock,
                 .flops = flops()};
}

template <class T>
void ForwardPass<T>::addTokenBlocks() {
  const TokenLayout& layout = arguments_.layout;
  const Index blocks = ceilDivide(layout.tokens, plan_.tokenBlock);
  const Amount channelPanels =
      linalg::columnPanelsSize<T>(configuration_.queryDim, plan_.tokenBlock);
  const Amount scratchBytes =
      2 * Scratch::bytesFor<T>(channelPanels) +
      Scratch::bytesFor<T>(attention::flashForwardScratch<T>(plan_.tokenBlock, plan_.keyBlock));
  schedule_.add(layout.batch * blocks, scratchBytes, [=, this](Index task, Scratch& scratch) {
    const Index begin = task % blocks * plan_.tokenBlock;
    runTokenBlock(task / blocks, begin,
                  std::min(plan_.tokenBlock, arguments_.layout.tokens - begin), scratch);
  });
}

template <class T>
void ForwardPass<T>::runTokenBlock(Index batchRow, Index begin, Index count, Scratch& scratch) {
  using linalg::ColumnPanels;
  const Index channels = configuration_.queryDim;
  const Index headDim = configuration_.headDim();
  const Amount panelsSize = linalg::columnPanelsSize<T>(channels, count);
  T* inputMemory = scratch.take<T>(panelsSize);
  T* queryMemory = scratch.take<T>(panelsSize);
  T* flashScratch = scratch.take<T>(attention::flashForwardScratch<T>(count, plan_.keyBlock));
  const TokenLayout& layout = arguments_.layout;

  const ColumnPanels<T> input = linalg::packColumns<T>(
      layout.channelsByTokens(arguments_.input.data(), batchRow).columnRange(begin, count),
      inputMemory);
  const ColumnPanels<T> query = linalg::columnPanels(queryMemory, channels, count);
  linalg::multiply<T>(weights_->query, input, query);

  // The input has been used: the heads' outputs take its place.
  const ColumnPanels<T> attended = input;
  const Index set = projected_->setOf(batchRow);
  for (Index head = 0; head < configuration_.numHeads; ++head) {
    T* logSumExp = activations_ == nullptr
                       ? nullptr
                       : activations_->logSumExp.data() +
                             (batchRow * configuration_.numHeads + head) * layout.tokens + begin;
    attention::flashForward<T>({.query = query.depthRange(head * headDim, headDim),
                                .keys = projected_->keys(set, head),
                                .valuesTransposed = projected_->valuesTransposed(set, head),
                                .mask = arguments_.headMask(batchRow, head).fromToken(begin),
                                .keyBlock = plan_.keyBlock,
                                .output = attended.depthRange(head * headDim, headDim),
                                .logSumExp = logSumExp},
                               flashScratch);
  }
  linalg::multiply<T>(weights_->output, attended,
                      layout.channelsByTokens(output_.data(), batchRow).columnRange(begin, count),
                      linalg::Start::kBias, bias_);
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
  double flops = static_cast<double>(arguments_.layout.batch) * 4 * n * c * c;
  for (Index row = 0; row < arguments_.layout.batch; ++row) {
    flops += 4 * n * c * static_cast<double>(projected_->keyCount(projected_->setOf(row)));
  }
  if (contextWasReady_) return flops;
  for (Index set = 0; set < projected_->sets(); ++set) {
    flops += 4 * d * c * static_cast<double>(projected_->keyCount(set));
  }
  return flops;
}

template class ForwardPass<float>;
template class ForwardPass<double>;

}  // namespace cross_attention::layer
