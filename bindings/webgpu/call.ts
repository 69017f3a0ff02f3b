// One call of a layer as kernels see it: sizes, and where its tensors lie.
import { ArgumentError, ShapeError } from '../package/errors';
import type { MaskKind } from './kernels/mask';
import type { Matrix } from './matrix';
import type { LayerSizes } from './weights';

type Shape = readonly number[];

/** Tokens of a batch in a tensor: an image [B, C, H, W] holds them as columns, [B, N, C] and [N, C] as rows. */
export interface TokenLayout {
  readonly batch: number;
  readonly tokens: number;
  readonly channels: number;
  readonly channelsFirst: boolean;
}

/** [channels × tokens] of each batch row. `first`: the batch row that `outer` 0 is. */
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

export interface MaskLayout {
  readonly kind: MaskKind;
  /** Elements from one batch row, head, token to the next. */
  readonly outer: number;
  readonly inner: number;
  readonly token: number;
  readonly elements: number;
}

/** The sizes of a call, checked. */
export interface CallSizes {
  readonly input: TokenLayout;
  readonly context: TokenLayout;
  readonly isSelfAttention: boolean;
  readonly mask: MaskLayout;
}

const text = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Of [B, N, channels] and [N, channels]; null for another shape. */
function rowsLayout(shape: Shape, channels: number): TokenLayout | null {
  if ((shape.length !== 3 && shape.length !== 2) || shape.at(-1) !== channels) return null;
  return {
    batch: shape.length === 3 ? shape[0]! : 1,
    tokens: shape.at(-2)!,
    channels,
    channelsFirst: false,
  };
}

function inputLayout(shape: Shape, channels: number): TokenLayout {
  if (shape.length === 4 && shape[1] === channels) {
    return { batch: shape[0]!, tokens: shape[2]! * shape[3]!, channels, channelsFirst: true };
  }
  const rows = rowsLayout(shape, channels);
  if (rows !== null) return rows;
  throw new ShapeError(
    `input has shape ${text(shape)}; it takes [B, C, H, W], [B, N, C] or [N, C] with C = queryDim = ${channels}`,
  );
}

function contextLayout(shape: Shape, channels: number): TokenLayout {
  const rows = rowsLayout(shape, channels);
  if (rows !== null) return rows;
  throw new ShapeError(
    `context has shape ${text(shape)}; it takes [B | 1, L, D] or [L, D] with D = contextDim = ${channels}`,
  );
}

const noMask: MaskLayout = { kind: 'none', outer: 0, inner: 0, token: 0, elements: 0 };

function maskLayout(shape: Shape, full: Shape): MaskLayout {
  const [batch, heads, tokens, length] = full as [number, number, number, number];
  const elements = shape.reduce((product, size) => product * size, 1);
  if (shape.length === 2) {
    if ((shape[0] === 1 || shape[0] === batch) && shape[1] === length) {
      return { kind: 'keys', outer: shape[0] === 1 ? 0 : length, inner: 0, token: 0, elements };
    }
    throw new ShapeError(`mask has shape ${text(shape)}; it takes [${batch} or 1, ${length}]`);
  }
  if (shape.length !== 4) {
    throw new ShapeError(
      `mask has shape ${text(shape)}; it takes a key mask [B | 1, L] or an additive mask [B | 1, heads | 1, N | 1, L]`,
    );
  }
  const fits = shape.every((size, axis) => size === full[axis] || (axis < 3 && size === 1));
  if (!fits) {
    throw new ShapeError(
      `mask has shape ${text(shape)}; it takes ${text([batch, heads, tokens, length])} or 1 in place of each of the first three`,
    );
  }
  const stride = (axis: number): number =>
    shape[axis] === 1 ? 0 : shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  return { kind: 'additive', outer: stride(0), inner: stride(1), token: stride(2), elements };
}

/** Throws the core's own ShapeError, naming the argument, where the layer can't take these shapes. Null: none. */
export function checkCall(
  { queryDim, contextDim, numHeads }: LayerSizes,
  inputShape: Shape,
  contextShape: Shape | null,
  maskShape: Shape | null,
): CallSizes {
  const input = inputLayout(inputShape, queryDim);
  if (contextShape === null && contextDim !== queryDim) {
    throw new ShapeError(
      `context is null; self-attention takes contextDim = queryDim, but contextDim is ${contextDim} and queryDim is ${queryDim}`,
    );
  }
  const context = contextShape === null ? input : contextLayout(contextShape, contextDim);
  if (context.batch !== 1 && context.batch !== input.batch) {
    throw new ShapeError(
      `context has shape ${text(contextShape!)}; its batch takes 1 or that of the input ${text(inputShape)}, which is ${input.batch}`,
    );
  }
  const full = [input.batch, numHeads, input.tokens, context.tokens];
  return {
    input,
    context,
    isSelfAttention: contextShape === null,
    mask: maskShape === null ? noMask : maskLayout(maskShape, full),
  };
}

/** A mask's numbers as kernels read them. Throws ArgumentError for a key mask of other numbers than ones and zeros. */
export function maskBits(kind: MaskKind, values: Float32Array | Float64Array): Uint32Array {
  if (kind === 'additive') return new Uint32Array(Float32Array.from(values).buffer);
  const wrong = values.find((value) => value !== 0 && value !== 1);
  if (wrong !== undefined) {
    throw new ArgumentError(`mask [B, L] holds ${wrong}; a key mask takes 1 (attend) and 0 (ignore)`);
  }
  return Uint32Array.from(values);
}
