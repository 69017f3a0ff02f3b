import type { DeviceOptions } from './accelerator';
import { checkOneOf, checkOptions } from './checks';
import type { DType } from './core';
import type { Tensor } from './tensor';

export interface LayerOptions {
  /** Of all tensors of the layer; default float32. */
  dtype?: DType;
  /** Of the Xavier-uniform initial weights: the same seed gives the same weights anywhere. Default: a random one. */
  seed?: number;
  /** Softmax scale; default 1/sqrt(headDim). */
  scale?: number;
  /** Tokens that a task takes at a time; 0 (the default): chosen by the planner. */
  blockSizeQ?: number;
  /** Keys of one attention tile; 0 (the default): chosen by the planner. */
  blockSizeKV?: number;
}

export interface AttentionOptions {
  /**
   * Key mask [B | 1, L] (1 = attend, 0 = ignore; a fully ignored row gives a zero attention output), or an additive
   * float mask [B | 1, heads | 1, N | 1, L].
   */
  mask?: Tensor | null;
}

/** How a call that does not block may be done. */
export interface AsyncAttentionOptions extends AttentionOptions, DeviceOptions {}

export function checkDeviceOptions(options: DeviceOptions | undefined): DeviceOptions {
  const { device, location } = checkOptions('options', options);
  if (device !== undefined) checkOneOf('device', device, ['auto', 'wasm', 'webgpu']);
  if (location !== undefined) checkOneOf('location', location, ['wasm', 'webgpu']);
  return { device, location };
}
