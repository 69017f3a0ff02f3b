#include "layer/backward_pass.hpp"

#include <algorithm>

#include "layer/cost.hpp"
#include "layer/folded_gradients.hpp"
#include "layer/plain_gradients.hpp"

namespace cross_attention::layer {

template <class T>
BackwardPass<T>::BackwardPass(const PassInputs<T>& inputs, Parameters<T>& parameters,
                              const Activations<T>& activations, const Tensor<T>& outputGradient)
    : configuration_(inputs.configuration),
      weights_(inputs.weights),
      layout_(activations.arguments.layout),
      projected_(*activations.projected),
      outputGradient_(outputGradient),
      plan_(planBackward<T>(configuration_, layout_.tokens, projected_.maxKeys(), isFolded())),
      inputGradient_(layout_.shape),
      contextGradient_(activations.arguments.context.isInput
                           ? std::nullopt
                           : std::optional(Tensor<T>::zeros(activations.arguments.context.layout.shape))),
      keyGradients_(configuration_.innerDim(), projected_.maxKeys()),
      attentionGradients_(makeAttentionGradients(inputs, parameters, activations)),
      // For self-attention, the gradient of the context is one part of the input's.
      contextGradients_(configuration_, parameters, *weights_, activations, keyGradients_,
                        contextGradient_ ? *contextGradient_ : inputGradient_),
      schedule_(inputs.workspace) {
  addStages();
  // Last: if memory runs out for anything else, a layer without gradients still has none.
  parameters.requireGradients();
  statistics_ = {.happened = true,
                 .shapes = {NamedShape{"output gradient", outputGradient.shape()}},
                 .tokenBlock = plan_.tokenBlock,
                 .keyBlock = plan_.keyBlock,
                 .flops = flops()};
}

template <class T>
std::unique_ptr<AttentionGradients<T>> BackwardPass<T>::makeAttentionGradients(
    const PassInputs<T>& inputs, Parameters<T>& parameters, const Activations<T>& activations) {
  const GradientTask<T> task{.configuration = configuration_,
                             .parameters = parameters,
                             .weights = *weights_,
                             .activations = activations,
                             .outputGradient = outputGradient_,
                             .inputGradient = inputGradient_,
                             .plan = plan_,
                             .keyGradients = keyGradients_};
  if constexpr (kFoldsGradients<T>) {
    if (isFolded()) {
      weights_->require(FoldedGradients<T>::kRequiredWeights, inputs.workspace);
      return std::make_unique<FoldedGradients<T>>(task);
    }
  }
  weights_->require(
      PlainGradients<T>::kRequiredWeights | ContextGradients<T>::requiredWeights(configuration_),
      inputs.workspace);
  return std::make_unique<PlainGradients<T>>(task);
}

template <class T>
void BackwardPass<T>::addStages() {
  const bool isShared = projected_.kvBatches() == 1;
  for (Index batchRow = 0; batchRow < layout_.batch; ++batchRow) {
    const Index kvBatch = projected_.kvBatchOf(batchRow);
    const bool startsKvBatch = batchRow == 0 || !isShared;
    if (startsKvBatch) attentionGradients_->addStart(schedule_);
    for (Index begin = 0; begin < layout_.tokens; begin += plan_.chunk) {
      const Index count = std::min(plan_.chunk, layout_.tokens - begin);
      attentionGradients_->addChunk(schedule_, batchRow, begin, count, startsKvBatch && begin == 0);
    }
    const bool endsKvBatch = batchRow == layout_.batch - 1 || !isShared;
    if (!endsKvBatch || projected_.keyCount(kvBatch) == 0) continue;
    attentionGradients_->addEnd(schedule_, kvBatch);
    contextGradients_.addStages(schedule_, kvBatch);
  }
}

template <class T>
double BackwardPass<T>::flops() const {
  const auto tokens = static_cast<double>(layout_.tokens);
  double flops = 0;
  for (Index row = 0; row < layout_.batch; ++row) {
    const Index keys = projected_.keyCount(projected_.kvBatchOf(row));
    flops += backwardTokenFlops(configuration_, tokens, static_cast<double>(keys), isFolded(),
                                keys <= plan_.keyBlock);
  }
  for (Index kvBatch = 0; kvBatch < projected_.kvBatches(); ++kvBatch) {
    flops +=
        backwardContextFlops(configuration_, static_cast<double>(projected_.keyCount(kvBatch)), isFolded());
  }
  return flops;
}

template class BackwardPass<float>;
template class BackwardPass<double>;

}  // namespace cross_attention::layer
