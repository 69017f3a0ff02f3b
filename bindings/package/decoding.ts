// Conversion of stored bytes to elements of tensors and parameters in WASM memory, a part at a time.
import { sizeOf } from './checks';
import type { CoreBytes } from './core';
import type { LayerState } from './layer_state';
import { getCore } from './runtime';
import { Tensor, wrapTensor } from './tensor';

/** Bytes of a tensor of a file. */
export interface Encoded {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}
/** A weight for a parameter. */
export interface EncodedWeight extends Encoded {
  readonly parameter: string;
  /** One factor of all elements, or one for each row. */
  readonly scales: Float64Array | null;
}

/** Memory for a part of a tensor. 4 MiB and 256 KiB are as fast. A multiple of the size of any element. */
const partBytes = 1 << 20;

type DecodePart = (offset: number, count: number, bytes: CoreBytes, size: number) => void;

function forParts({ bytes, shape }: Encoded, staging: CoreBytes, decode: DecodePart): void {
  const elementBytes = bytes.length / sizeOf(shape);
  for (let at = 0; at < bytes.length; at += partBytes) {
    const part = bytes.subarray(at, at + partBytes);
    staging.view().set(part);
    decode(at / elementBytes, part.length / elementBytes, staging, part.length);
  }
}

/** Returns memory for the parts of all tensors; the caller deletes it. */
const allocateStaging = (tensors: readonly Encoded[]): CoreBytes =>
  getCore().Bytes.allocate(Math.min(partBytes, Math.max(0, ...tensors.map(({ bytes }) => bytes.length))));

/** Returns a tensor of float64, or of float32 into which integers are converted, too. */
export function decodeTensor(encoded: Encoded, dtype: 'float32' | 'float64'): Tensor {
  const core = getCore();
  const isFloat32 = dtype === 'float32';
  const staging = allocateStaging([encoded]);
  try {
    const handle = (isFloat32 ? core.TensorFloat32 : core.TensorFloat64).uninitialized(encoded.shape);
    try {
      forParts(encoded, staging, (offset, count, bytes, size) =>
        (isFloat32 ? core.decodeFloat32 : core.decodeFloat64)(
          handle,
          offset,
          count,
          encoded.name,
          encoded.type,
          bytes,
          size,
        ),
      );
      return wrapTensor(handle, dtype);
    } catch (error) {
      handle.delete();
      throw error;
    }
  } finally {
    staging.delete();
  }
}

/** Returns the floating-point values of a small tensor. */
export function decodeValues(encoded: Encoded): Float64Array {
  const tensor = decodeTensor(encoded, 'float64');
  try {
    return tensor.data() as Float64Array;
  } finally {
    tensor.dispose();
  }
}

/** Overwrites parameters. Weights have the parameters' sizes and floating-point types. All or nothing. */
export function decodeInto(state: LayerState, weights: readonly EncodedWeight[]): void {
  const core = getCore();
  const layer = state.core;
  if (weights.length > 0) state.beforeChange();
  const names = layer.parameterNames();
  const sizes = names.map((name) => sizeOf(layer.parameterShape(name)!));
  const staging = allocateStaging(weights);
  try {
    const load = state.dtype === 'float32' ? core.loadFloat32 : core.loadFloat64;
    // Nothing below allocates WASM memory or can fail.
    for (const weight of weights) {
      const { parameter, type, scales } = weight;
      const number = names.indexOf(parameter);
      forParts(weight, staging, (offset, count, bytes, size) =>
        load(layer, number, offset, count, type, bytes, size),
      );
      if (scales === null) continue;
      const begin = sizes.slice(0, number).reduce((sum, size) => sum + size, 0);
      const values = layer.parametersView().subarray(begin, begin + sizes[number]!);
      const perScale = values.length / scales.length;
      for (let at = 0; at < values.length; ++at) values[at]! *= scales[Math.floor(at / perScale)]!;
    }
  } finally {
    staging.delete();
    if (weights.length > 0) state.parametersVersion++;
  }
}
