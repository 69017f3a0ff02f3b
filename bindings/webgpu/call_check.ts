// Checks of a call's shapes, by the core (src/layer/call_check.hpp).
import { getCore } from '../package/runtime';
import { type CallSizes, callSizes, type Shape } from './call';
import type { LayerSizes } from '../package/accelerator';

/**
 * Returns the sizes of a call. Throws ShapeError, naming the argument, if the layer does not support the
 * shapes.
 */
export function checkCall(
  sizes: LayerSizes,
  inputShape: Shape,
  contextShape: Shape | null,
  maskShape: Shape | null,
): CallSizes {
  const { queryDim, contextDim, numHeads } = sizes;
  getCore().checkCall(queryDim, contextDim, numHeads, inputShape, contextShape, maskShape);
  return callSizes(sizes, inputShape, contextShape, maskShape);
}
