// FLOPs of calls, by the formulas of the core (src/layer/cost.hpp).
import { getCore } from '../package/runtime';
import type { CallSizes } from './call';
import type { Association } from './prepared_context';
import type { LayerSizes } from '../package/accelerator';

type Dimensions = Pick<LayerSizes, 'queryDim' | 'contextDim' | 'numHeads'>;

/** Returns the FLOPs of a forward pass, projections of the context included. */
export function forwardFlops(sizes: Dimensions, { input, context }: CallSizes): number {
  const { queryDim, contextDim, numHeads } = sizes;
  const [tokens, keys] = [input.batch * input.tokens, context.batch * context.tokens];
  return getCore().forwardFlops(queryDim, contextDim, numHeads, tokens, context.tokens, keys, false);
}

/** Returns the FLOPs of a run with a prepared context. */
export function runFlops(
  association: Association,
  { queryDim, contextDim, numHeads }: Dimensions,
  { input, context }: CallSizes,
): number {
  const [tokens, folded] = [input.batch * input.tokens, association === 'folded'];
  return getCore().forwardFlops(queryDim, contextDim, numHeads, tokens, context.tokens, 0, folded);
}

/** Returns the association with which runs of a constant context need fewer FLOPs. */
export function cheaperAssociation({ queryDim, numHeads }: Dimensions, { context }: CallSizes): Association {
  return getCore().foldsConstantContext(queryDim, numHeads, context.tokens) ? 'folded' : 'plain';
}
