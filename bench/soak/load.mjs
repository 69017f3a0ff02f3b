// The mixed load of the soak test, in Node, pages and workers.

/** Sizes of the layers: a small one, and one whose calls take long enough to be interrupted. */
const sizes = [
  { queryDim: 64, contextDim: 48, numHeads: 4, side: 16 },
  { queryDim: 320, contextDim: 768, numHeads: 8, side: 32 },
];

/**
 * Runs one round: calls of all kinds, calls that fail, and objects that are disposed in mid-call or left to
 * the garbage collector. `library` is the package.
 */
export async function runRound(library, round) {
  const { compile, DiffusionCrossAttention, Tensor } = library;
  for (const { queryDim, contextDim, numHeads, side } of sizes) {
    const layer = new DiffusionCrossAttention(queryDim, contextDim, numHeads, side, { seed: 1 });
    const input = Tensor.randn([2, queryDim, side, side], { seed: round });
    const context = Tensor.randn([2, 77, contextDim], { seed: round + 1 });
    const owners = [layer, input, context];
    try {
      const nodes = [];
      const output = layer.exportComputationGraph(nodes);
      const graph = await compile(output, nodes, { inputShapes: [input.shape, context.shape] });
      owners.push(graph);
      const pending = [
        layer.forwardAsync(input, context),
        graph.runAsync(input, context),
        graph.runAsync(input, context),
      ];
      owners.push(layer.forwardWithContext(input, context));
      owners.push(layer.attentionMaps(input, context));
      layer.loadWeights(layer.saveWeights());
      await layer.forwardAsync(context, input).then(
        () => Promise.reject(new Error('wrong shapes were accepted')),
        () => {},
      );
      for (const result of pending) owners.push(await result);
      layer.training = true;
      owners.push(await layer.forwardAsync(input, context));
      owners.push(await layer.backwardAsync(input));
      layer.updateParameters(1e-3);
      // Left to the garbage collector.
      layer.forwardWithContext(input, context);
      // Disposed in mid-call.
      const unfinished = [
        layer.forwardAsync(input, context),
        layer.forwardAsync(input, null).catch(() => null),
      ];
      for (const owner of owners) owner.dispose();
      for (const result of unfinished) (await result)?.dispose();
    } finally {
      for (const owner of owners) owner.dispose();
    }
  }
}
