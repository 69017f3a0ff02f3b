// FLOPs of calls, by the formulas of the core (src/layer/cost.hpp).
import { getCore } from '../package/runtime';
import type { CoreDimensions } from '../package/core';
import type { CallSizes } from './call';
import type { Association } from './prepared_context';
import type { LayerSizes } from '../package/accelerator';

const dimensionsOf = (sizes: LayerSizes): CoreDimensions => [
  sizes.queryDim,
  sizes.contextDim,
  sizes.numHeads,
  sizes.headDim,
  sizes.outputDim,
  Number(sizes.queryKeyNorm !== 'none'),
];

/** Returns the FLOPs of a forward pass, projections of the context included. */
export function forwardFlops(sizes: LayerSizes, { input, context }: CallSizes): number {
  const [tokens, keys] = [input.batch * input.tokens, context.batch * context.tokens];
  return getCore().forwardFlops(dimensionsOf(sizes), tokens, context.tokens, keys, false);
}

/** Returns the FLOPs of a run with a prepared context. */
export function runFlops(association: Association, sizes: LayerSizes, { input, context }: CallSizes): number {
  const [tokens, folded] = [input.batch * input.tokens, association === 'folded'];
  return getCore().forwardFlops(dimensionsOf(sizes), tokens, context.tokens, 0, folded);
}

/** Returns the association with which runs of a constant context need fewer FLOPs. */
export function cheaperAssociation(sizes: LayerSizes, { context }: CallSizes): Association {
  return getCore().foldsConstantContext(dimensionsOf(sizes), context.tokens) ? 'folded' : 'plain';
}
