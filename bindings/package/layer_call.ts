// Arguments of a layer's calls, checked.
import type { CallTensors, LayerSizes } from './accelerator';
import { checkBoolean, readOptions } from './checks';
import type { CoreTensor, DType } from './core';
import type { AttentionOptions } from './layer_options';
import { checkTensor, type Tensor, tensorHandle } from './tensor';

/** Input, context, the mask as one of two arguments, by its dtype, whether it is boolean, and causal. */
export type CoreCall = [
  CoreTensor,
  CoreTensor | null,
  CoreTensor | null,
  CoreTensor | null,
  boolean,
  boolean,
];

/** Returns the mask of the options; null for none. */
const readMask = (options: AttentionOptions | undefined): Tensor | null =>
  readOptions('options', options, ['mask']).mask ?? null;

/** Returns `causal` of the options. */
export const readCausal = (options: AttentionOptions | undefined): boolean =>
  checkBoolean('options.causal', readOptions('options', options, ['causal']).causal ?? false);

/**
 * Returns the tensors of a call in any memory. Throws ArgumentError or DisposedError that names the argument.
 */
export function callTensors(
  dtype: DType,
  input: Tensor,
  context: Tensor | null,
  options: AttentionOptions | undefined,
): CallTensors {
  const mask = readMask(options);
  return {
    input: checkTensor('input', input, dtype),
    // JavaScript passes undefined for an omitted argument.
    context: (context ?? null) === null ? null : checkTensor('context', context, dtype),
    mask: mask === null ? null : checkTensor('mask', mask, null),
  };
}

/** Returns the arguments of a call of the core. Throws ArgumentError for tensors in GPU memory. */
export function coreCall(
  dtype: DType,
  input: Tensor,
  context: Tensor | null,
  options: AttentionOptions | undefined,
): CoreCall {
  const mask = readMask(options);
  const causal = readCausal(options);
  const inputHandle = tensorHandle('input', input, dtype);
  // JavaScript passes undefined for an omitted argument.
  const contextHandle = (context ?? null) === null ? null : tensorHandle('context', context, dtype);
  if (mask === null) return [inputHandle, contextHandle, null, null, false, causal];
  const maskHandle = tensorHandle('mask', mask, null);
  return mask.dtype === 'float32'
    ? [inputHandle, contextHandle, maskHandle, null, mask.isBoolean, causal]
    : [inputHandle, contextHandle, null, maskHandle, mask.isBoolean, causal];
}

/** Returns the shape of a layer's output for an input of this shape: an image, or tokens. */
export function outputShape({ outputDim }: LayerSizes, input: readonly number[]): number[] {
  const shape = [...input];
  shape[shape.length === 4 ? 1 : shape.length - 1] = outputDim;
  return shape;
}
