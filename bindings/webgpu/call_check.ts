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
  maskIsBoolean = false,
): CallSizes {
  const { queryDim, contextDim, numHeads } = sizes;
  // As the core reads it: all batch rows share a boolean mask [L].
  const mask = maskIsBoolean && maskShape?.length === 1 ? [1, ...maskShape] : maskShape;
  getCore().checkCall(queryDim, contextDim, numHeads, inputShape, contextShape, mask);
  return callSizes(sizes, inputShape, contextShape, mask, maskIsBoolean);
}
