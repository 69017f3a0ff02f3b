// What is measured: the shapes of layers, the tasks, and the work of a task by a formula that is the same for
// all contenders.
import { shapeNamed, shapes as layerShapes } from '../support/shapes.mjs';

/** So small that a call is only overhead: its time is meaningful, its GFLOP/s are not. */
const overhead = {
  name: 'overhead',
  batch: 1,
  queryDim: 8,
  height: 1,
  width: 1,
  length: 1,
  contextDim: 8,
  numHeads: 1,
};
export const isOverhead = (shape) => shape.name === overhead.name;

/** All cross-attention layers of Stable Diffusion 1.5's U-Net in sequence, each with different weights. */
const stack = {
  name: 'sd15-stack',
  layers: [
    ...['sd15-64', 'sd15-32', 'sd15-16'].flatMap((name) => Array(5).fill(shapeNamed(name))),
    { ...shapeNamed('sd15-16'), name: 'sd15-8', height: 8, width: 8 },
  ],
};

export const shapes = [...layerShapes, stack, overhead];

/** Returns the shapes of the layers that one call runs. */
export const layersOf = (shape) => shape.layers ?? [shape];

/** The tasks. `title` and `flops`, the formula of flopsOf, are printed. */
export const tasks = {
  forward: {
    title: 'forward, a new context in every call',
    flops: '2·B·(2·N·C² + 2·L·D·C + 2·N·L·C)',
  },
  'forward-cached': {
    title: 'forward, the same context in every call',
    flops: '2·B·(2·N·C² + 2·N·L·C), without keys and values, which can be cached',
  },
  'forward-compiled': {
    title: 'denoising loop: forward, a constant context; this package compiled once per prompt',
    flops: '2·B·(2·N·C² + 2·N·L·C), as with the same context in every call',
  },
  training: {
    title: 'training step: forward, backward (all gradients), update',
    flops:
      '3 · forward: for each product y = a·b of the forward pass, the backward pass has two, da = dy·bᵀ ' +
      'and db = aᵀ·dy. Only “executed” counts recomputation and omits work that the layer avoids',
  },
};

/** True if the context of a task is the same in every call. */
export const reusesContext = (task) => task === 'forward-cached' || task === 'forward-compiled';

/** True if keys and values can be cached. In self-attention they depend on the image, which changes. */
const canCacheContext = (shape) => layersOf(shape).every(({ length }) => length !== null);
/** True if a task can be measured with a shape. The stack of layers has no loss for training. */
export const isMeaningful = (shape, task) =>
  (!reusesContext(task) || canCacheContext(shape)) && (task !== 'training' || !shape.layers);

export const maxChannelsOf = (shape) => Math.max(...layersOf(shape).map(({ queryDim }) => queryDim));

export const tokensOf = (shape) => shape.height * shape.width;
/** Returns L. In self-attention, the tokens of the image are the context. */
export const contextLengthOf = (shape) => shape.length ?? tokensOf(shape);

function layerFlopsOf(shape, task) {
  const { batch, queryDim, contextDim } = shape;
  const tokens = tokensOf(shape);
  const length = contextLengthOf(shape);
  const forImage = 2 * tokens * queryDim ** 2 + 2 * tokens * length * queryDim;
  const forContext = 2 * length * contextDim * queryDim;
  if (reusesContext(task)) return 2 * batch * forImage;
  const forward = 2 * batch * (forImage + forContext);
  return task === 'training' ? 3 * forward : forward;
}

/**
 * Returns the floating-point operations of one call by the formulas of `tasks`: the same number for all
 * contenders.
 */
export const flopsOf = (shape, task) =>
  layersOf(shape).reduce((sum, layer) => sum + layerFlopsOf(layer, task), 0);
