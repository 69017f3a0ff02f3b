#include "layer/attention_maps.hpp"

#include <algorithm>

#include "attention/probabilities.hpp"
#include "layer/planner.hpp"
#include "layer/projection.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

namespace {

/// `heads`: 0 for the mean over the heads.
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
  return Shape::checked(dimensions, "shape of the attention maps");
}

}  // namespace

template <class T>
Tensor<T> computeAttentionMaps(const PassInputs<T>& inputs, const Arguments<T>& arguments,
                               const ContextCache<T>& cache, MapHeads heads) {
  const Configuration& configuration = inputs.configuration;
  const TokenLayout& layout = arguments.layout;
  const Index length = arguments.context.layout.tokens;
  const Index headDim = configuration.headDim();
  const Index mapsPerRow = heads == MapHeads::kAll ? configuration.numHeads : 1;
  const T weight = heads == MapHeads::kAll ? T(1) : T(1) / static_cast<T>(configuration.numHeads);
  Tensor<T> maps =
      Tensor<T>::zeros(mapShape(layout, heads == MapHeads::kAll ? configuration.numHeads : 0, length));

  const PreparedContext<T> context = prepareContext(inputs, arguments, {}, {PackedWeight::kQuery}, &cache);
  const ProjectedContext<T>& projected = *context.projected;
  const PackedWeights<T>& weights = *inputs.weights;
  Schedule schedule(inputs.workspace);
  context.addStages(schedule, weights, arguments);

  const Plan plan = planForward<T>(configuration, {.batch = layout.batch,
                                                   .tokens = layout.tokens,
                                                   .keys = projected.maxKeys(),
                                                   .folded = false,
                                                   .minTasks = tasksForThreads()});
  const Index blocks = ceilDivide(layout.tokens, plan.tokenBlock);
  const Index inner = configuration.innerDim();
  const Projection<T> projection = Projection<T>::ofQuery(configuration, inputs.parameters);
  const ByteCount inputSize = linalg::columnPanelsSize<T>(configuration.queryDim, plan.tokenBlock);
  const ByteCount querySize = linalg::columnPanelsSize<T>(inner, plan.tokenBlock);
  const ByteCount scratchBytes = Scratch::bytesFor<T>(inputSize) + Scratch::bytesFor<T>(querySize) +
                                 Scratch::bytesFor<T>(attention::probabilitiesScratch<T>(plan.keyBlock));
  schedule.add(layout.batch * blocks, scratchBytes, [&](Index task, Scratch& scratch) {
    const Index batchRow = task / blocks;
    const Index begin = task % blocks * plan.tokenBlock;
    const Index count = std::min(plan.tokenBlock, layout.tokens - begin);
    const linalg::ColumnPanels<T> input = linalg::packColumns<T>(
        layout.channelsByTokens(arguments.input.data(), batchRow).columnRange(begin, count),
        scratch.take<T>(inputSize));
    const linalg::ColumnPanels<T> query = linalg::columnPanels(scratch.take<T>(querySize), inner, count);
    projectQuery<T>(projection, weights[PackedWeight::kQuery], input, query);
    normalizeQuery(projection, headDim, query);
    T* scores = scratch.take<T>(attention::probabilitiesScratch<T>(plan.keyBlock));
    const Index kvBatch = projected.kvBatchOf(batchRow);
    for (Index head = 0; head < configuration.numHeads; ++head) {
      const Index map = batchRow * mapsPerRow + (mapsPerRow == 1 ? 0 : head);
      attention::addProbabilities<T>(
          {.query = query.depthRange(head * headDim, headDim),
           .keys = projected.keys(kvBatch, head),
           .mask = arguments.headMask(batchRow, head).fromToken(begin),
           .keyBlock = plan.keyBlock,
           .weight = weight,
           .map = linalg::rowMajor(maps.data() + map * length * layout.tokens, length, layout.tokens)
                      .columnRange(begin, count),
           .keyIndices = projected.keyIndices(kvBatch)},
          scores);
    }
  });
  schedule.run();
  return maps;
}

template Tensor<float> computeAttentionMaps(const PassInputs<float>&, const Arguments<float>&,
                                            const ContextCache<float>&, MapHeads);
template Tensor<double> computeAttentionMaps(const PassInputs<double>&, const Arguments<double>&,
                                             const ContextCache<double>&, MapHeads);

}  // namespace cross_attention::layer
