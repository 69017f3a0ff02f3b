// What is measured: shapes of layers, what is done with them, and the work of it by a formula that knows no contender.
import { shapes as layerShapes } from '../tests/support/shapes.mjs';

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

export const shapes = [...layerShapes, overhead];

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
  training: {
    title: 'training step: forward, backward (all gradients), update',
    flops:
      '3 · forward, for each product y = a·b of the forward has two in the backward, da = dy·bᵀ and db = aᵀ·dy. ' +
      'What a layer computes a second time is not counted here, only under “done”',
  },
};

/** A prompt's keys and values can be kept; those of the image's own tokens change with every image. */
export const isMeaningful = (shape, task) => task !== 'forward-cached' || shape.length !== null;

export const tokensOf = (shape) => shape.height * shape.width;
/** Self-attention has no context but the image's own tokens. */
export const contextLengthOf = (shape) => shape.length ?? tokensOf(shape);

/** Floating-point operations of one call, from textbook formulas: the same number for all contenders. */
export function flopsOf(shape, task) {
  const { batch, queryDim, contextDim } = shape;
  const tokens = tokensOf(shape);
  const length = contextLengthOf(shape);
  const forImage = 2 * tokens * queryDim ** 2 + 2 * tokens * length * queryDim;
  const forContext = 2 * length * contextDim * queryDim;
  if (task === 'forward-cached') return 2 * batch * forImage;
  const forward = 2 * batch * (forImage + forContext);
  return task === 'training' ? 3 * forward : forward;
}
