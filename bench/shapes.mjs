// What is measured: shapes of layers, what is done with them, and the work of it by a formula that knows no contender.
import { shapeNamed, shapes as layerShapes } from '../support/shapes.mjs';

/** So small that a call is nothing but overhead: only the time of a call tells anything. */
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

/** All cross-attention layers of Stable Diffusion 1.5's U-Net, one after another, each with weights of its own. */
const stack = {
  name: 'sd15-stack',
  layers: [
    ...['sd15-64', 'sd15-32', 'sd15-16'].flatMap((name) => Array(5).fill(shapeNamed(name))),
    { ...shapeNamed('sd15-16'), name: 'sd15-8', height: 8, width: 8 },
  ],
};

export const shapes = [...layerShapes, stack, overhead];

/** The layers that one call runs. */
export const layersOf = (shape) => shape.layers ?? [shape];

/** What can be done with a layer; `title` and `flops` (what flopsOf counts) are for people. */
export const tasks = {
  forward: {
    title: 'forward, another context at every call',
    flops: '2·B·(2·N·C² + 2·L·D·C + 2·N·L·C)',
  },
  'forward-cached': {
    title: 'forward, the same context at every call',
    flops: '2·B·(2·N·C² + 2·N·L·C): the keys and values of a context can be kept, so they are not counted',
  },
  'forward-compiled': {
    title: 'denoising loop: forward, the context constant; ours compiled once a prompt',
    flops: '2·B·(2·N·C² + 2·N·L·C), as with the same context at every call',
  },
  training: {
    title: 'training step: forward, backward (all gradients), update',
    flops:
      '3 · forward, for each product y = a·b of the forward has two in the backward, da = dy·bᵀ and db = aᵀ·dy. ' +
      'What a layer computes a second time, or saves, is counted only under “done”',
  },
};

/** Whether a task's context is the same at every call. */
export const keepsContext = (task) => task === 'forward-cached' || task === 'forward-compiled';

/** A prompt's keys and values can be kept; those of the image's own tokens change with every image. */
const canKeepContext = (shape) => layersOf(shape).every(({ length }) => length !== null);
/** The stack has no loss of its own to be trained by. */
export const isMeaningful = (shape, task) =>
  (!keepsContext(task) || canKeepContext(shape)) && (task !== 'training' || !shape.layers);

export const mostChannelsOf = (shape) => Math.max(...layersOf(shape).map(({ queryDim }) => queryDim));

export const tokensOf = (shape) => shape.height * shape.width;
/** Self-attention has no context but the image's own tokens. */
export const contextLengthOf = (shape) => shape.length ?? tokensOf(shape);

function layerFlopsOf(shape, task) {
  const { batch, queryDim, contextDim } = shape;
  const tokens = tokensOf(shape);
  const length = contextLengthOf(shape);
  const forImage = 2 * tokens * queryDim ** 2 + 2 * tokens * length * queryDim;
  const forContext = 2 * length * contextDim * queryDim;
  if (keepsContext(task)) return 2 * batch * forImage;
  const forward = 2 * batch * (forImage + forContext);
  return task === 'training' ? 3 * forward : forward;
}

/** Floating-point operations of one call, from textbook formulas: the same number for all contenders. */
export const flopsOf = (shape, task) =>
  layersOf(shape).reduce((sum, layer) => sum + layerFlopsOf(layer, task), 0);
