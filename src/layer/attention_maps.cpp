#include "layer/attention_maps.hpp"

#include <algorithm>

#include "attention/probabilities.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

namespace {

Shape mapShape(const TokenLayout& layout, Index heads, Index length) {
  std::vector<std::int64_t> dimensions{layout.batch};
  if (heads > 0) dimensions.push_back(heads);
  dimensions.push_back(length);
  if (layout.channelsFirst) {
    dimensions.push_back(layout.shape[2]);
    dimensions.push_back(layout.shape[3]);
  } else {
    dimensions.push_back(layout.tokens);
  }
  return Shape::checked(dimensions, "the attention map's shape");
}

}  // namespace

template <class T>
Tensor<T> computeAttentionMaps(const Configuration& configuration, const Parameters<T>& parameters,
                               PackedWeights<T>& weights, std::shared_ptr<Workspace> workspace,
                               const Arguments<T>& arguments,
                               std::shared_ptr<const ProjectedContext<T>> ready, MapHeads heads) {
  const TokenLayout& layout = arguments.layout;
  const Index length = arguments.context.layout.tokens;
  const Index headDim = configuration.headDim();
  const Index mapsPerRow = heads == MapHeads::kAll ? configuration.numHeads : 1;
  const T weight = heads == MapHeads::kAll ? T(1) : T(1) / static_cast<T>(configuration.numHeads);
  Tensor<T> maps = Tensor<T>::zeros(
      mapShape(layout, heads == MapHeads::kAll ? configuration.numHeads : 0, length));

  weights.require({PackedWeight::kQuery, PackedWeight::kKeyOfHeads, PackedWeight::kValueOfHeads},
                  workspace);
  Schedule schedule(std::move(workspace));
  std::shared_ptr<const ProjectedContext<T>> projected = std::move(ready);
  constexpr typename ProjectedContext<T>::Forms kForms{.transposed = false, .folded = false};
  if (!projected ||
      !projected->matches(parameters, arguments.context, arguments.mask.keys.get(), kForms)) {
    auto fresh = std::make_shared<ProjectedContext<T>>(configuration, parameters, arguments.context,
                                                       arguments.mask.keys, kForms);
    fresh->addStages(schedule, weights, arguments.context);
    projected = std::move(fresh);
  }

  const Plan plan = planForward<T>(configuration, {.batch = layout.batch,
                                                   .tokens = layout.tokens,
                                                   .keys = projected->mostKeys(),
                                                   .folded = false,
                                                   .leastTasks = tasksForThreads()});
  const Index blocks = ceilDivide(layout.tokens, plan.tokenBlock);
  const ByteCount panelsSize = linalg::columnPanelsSize<T>(configuration.queryDim, plan.tokenBlock);
  const ByteCount scratchBytes =
      2 * Scratch::bytesFor<T>(panelsSize) +
      Scratch::bytesFor<T>(attention::probabilitiesScratch<T>(plan.keyBlock));
  schedule.add(layout.batch * blocks, scratchBytes, [&](Index task, Scratch& scratch) {
    const Index batchRow = task / blocks;
    const Index begin = task % blocks * plan.tokenBlock;
    const Index count = std::min(plan.tokenBlock, layout.tokens - begin);
    const linalg::ColumnPanels<T> input = linalg::packColumns<T>(
        layout.channelsByTokens(arguments.input.data(), batchRow).columnRange(begin, count),
        scratch.take<T>(panelsSize));
    const linalg::ColumnPanels<T> query =
        linalg::columnPanels(scratch.take<T>(panelsSize), configuration.queryDim, count);
    linalg::multiply<T>(weights[PackedWeight::kQuery], input, query);
    T* scores = scratch.take<T>(attention::probabilitiesScratch<T>(plan.keyBlock));
    const Index set = projected->setOf(batchRow);
    for (Index head = 0; head < configuration.numHeads; ++head) {
      const Index map = batchRow * mapsPerRow + (mapsPerRow == 1 ? 0 : head);
      attention::addProbabilities<T>(
          {.query = query.depthRange(head * headDim, headDim),
           .keys = projected->keys(set, head),
           .mask = arguments.headMask(batchRow, head).fromToken(begin),
           .keyBlock = plan.keyBlock,
           .weight = weight,
           .map =
               linalg::rowMajor(maps.data() + map * length * layout.tokens, length, layout.tokens)
                   .columnRange(begin, count),
           .keyNumbers = projected->keyNumbers(set)},
          scores);
    }
  });
  schedule.run();
  return maps;
}

#define CROSS_ATTENTION_INSTANTIATE(T)                                                           \
  template Tensor<T> computeAttentionMaps(                                                       \
      const Configuration&, const Parameters<T>&, PackedWeights<T>&, std::shared_ptr<Workspace>, \
      const Arguments<T>&, std::shared_ptr<const ProjectedContext<T>>, MapHeads);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::layer
