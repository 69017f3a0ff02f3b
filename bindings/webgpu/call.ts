// The sizes of a call, and the layouts of its tensors in memory.
import { ArgumentError } from '../package/errors';
import { sizeOf } from '../package/checks';
import type { MaskKind } from './kernels/mask';
import type { Matrix } from './matrix';
import type { LayerSizes } from '../package/accelerator';

export type Shape = readonly number[];

/** Batch rows that are computed together. */
export interface BatchRows {
  first: number;
  count: number;
}

/** Tokens of a batch in a tensor. An image [B, C, H, W] is channels first; [B, N, C] and [N, C] are not. */
export interface TokenLayout {
  readonly batch: number;
  readonly tokens: number;
  readonly channels: number;
  readonly channelsFirst: boolean;
}

export interface MaskLayout {
  readonly kind: MaskKind;
  /** Elements from one batch row to the next; 0 if all share one. */
  readonly outer: number;
  /** Elements from one head to the next. */
  readonly inner: number;
  /** Elements from one token to the next. */
  readonly token: number;
  readonly elements: number;
}

export interface CallSizes {
  readonly input: TokenLayout;
  /** The input's for self-attention. */
  readonly context: TokenLayout;
  /** As the input, with outputDim channels. */
  readonly output: TokenLayout;
  readonly isSelfAttention: boolean;
  readonly mask: MaskLayout;
}

function tokenLayout(shape: Shape, channels: number): TokenLayout {
  if (shape.length === 4) {
    return { batch: shape[0]!, tokens: shape[2]! * shape[3]!, channels, channelsFirst: true };
  }
  const batch = shape.length === 3 ? shape[0]! : 1;
  return { batch, tokens: shape.at(-2)!, channels, channelsFirst: false };
}

function maskLayout(given: Shape | null, isBoolean: boolean): MaskLayout {
  const shape = given?.length === 3 ? [given[0]!, 1, given[1]!, given[2]!] : given;
  if (shape === null) return { kind: 'none', outer: 0, inner: 0, token: 0, elements: 0 };
  const elements = sizeOf(shape);
  const stride = (axis: number): number => (shape[axis] === 1 ? 0 : sizeOf(shape.slice(axis + 1)));
  const kind = isBoolean || shape.length === 2 ? 'keys' : 'additive';
  return shape.length === 2
    ? { kind, outer: stride(0), inner: 0, token: 0, elements }
    : { kind, outer: stride(0), inner: stride(1), token: stride(2), elements };
}

/**
 * Returns the sizes of a call. `maskIsBoolean`: the mask has ones and zeros whatever its rank. The shapes
 * must have passed `checkCall`; null: no context, no mask.
 */
export function callSizes(
  { queryDim, contextDim, outputDim }: Pick<LayerSizes, 'queryDim' | 'contextDim' | 'outputDim'>,
  inputShape: Shape,
  contextShape: Shape | null,
  maskShape: Shape | null,
  maskIsBoolean = false,
): CallSizes {
  const input = tokenLayout(inputShape, queryDim);
  return {
    input,
    context: contextShape === null ? input : tokenLayout(contextShape, contextDim),
    output: { ...input, channels: outputDim },
    isSelfAttention: contextShape === null,
    mask: maskLayout(maskShape, maskIsBoolean),
  };
}

/** Returns a buffer of tokens as a matrix [channels × tokens] of each batch row, from element `offset` on. */
export function channelsByTokens(layout: TokenLayout, buffer: GPUBuffer, offset = 0): Matrix {
  const { tokens, channels, channelsFirst } = layout;
  return {
    binding: { buffer },
    offset,
    rowStride: channelsFirst ? tokens : 1,
    columnStride: channelsFirst ? 1 : channels,
    outer: tokens * channels,
    inner: 0,
  };
}

/**
 * Returns a mask as kernels read it. Throws ArgumentError if a key mask has other values than ones and zeros.
 */
export function maskBits(kind: MaskKind, values: Float32Array | Float64Array): Uint32Array {
  if (kind === 'additive') return new Uint32Array(Float32Array.from(values).buffer);
  const wrong = values.find((value) => value !== 0 && value !== 1);
  if (wrong !== undefined) {
    throw new ArgumentError(`mask contains ${wrong}; expected 1 (attend) or 0 (ignore)`);
  }
  return Uint32Array.from(values);
}
