import type { DeviceOptions } from './accelerator';
import { checkOneOf, readOptions } from './checks';
import type { DType } from './core';
import type { Tensor } from './tensor';

export interface LayerOptions {
  /** Type of the parameters and of all tensors of the layer. Default 'float32'. */
  dtype?: DType;
  /**
   * Seed of the Xavier-uniform initial weights, from 0 to 2^53 - 1. The same seed gives the same weights on
   * every machine. Biases are zero. Default: a random seed.
   */
  seed?: number;
  /** Softmax scale. Default 1/sqrt(headDim). */
  scale?: number;
  /** Query rows of one flash-attention task; 0, the default, lets the planner choose. */
  blockSizeQ?: number;
  /** Keys of one flash-attention tile; 0, the default, lets the planner choose. */
  blockSizeKV?: number;
}

export interface AttentionOptions {
  /**
   * Key mask [B | 1, L] (1 = attend, 0 = ignore), or additive mask [B | 1, N | 1, L] or [B | 1, heads | 1, N
   * | 1, L] of the layer's dtype. A boolean tensor (Tensor.isBoolean) of any of these shapes says which keys
   * are attended to. A row whose keys are all ignored gives a zero attention output. Context rows that no row
   * of the batch attends to may have any values, also NaN. Default: no mask.
   */
  mask?: Tensor | null;
}

/** Options of an asynchronous call. */
export interface AsyncAttentionOptions extends AttentionOptions, DeviceOptions {}

export function checkDeviceOptions(options: DeviceOptions | undefined): DeviceOptions {
  const { device, location } = readOptions('options', options, ['device', 'location']);
  if (device !== undefined) checkOneOf('device', device, ['auto', 'wasm', 'webgpu']);
  if (location !== undefined) checkOneOf('location', location, ['wasm', 'webgpu']);
  return { device, location };
}
