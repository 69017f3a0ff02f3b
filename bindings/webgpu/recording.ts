// What functions that record commands share: forward.ts, backward.ts, prepared_context.ts, attention.ts.
import type { Device } from './device';
import type { MultiplyTiling } from './kernels/multiply';
import { multiply, type Product } from './matrix';
import type { Recorder } from './recorder';
import type { Scratch } from './scratch';
import type { LayerSizes } from '../package/accelerator';

/** How a device computes, chosen by calibration. Stored by calibration_store.ts. */
export interface Strategy {
  /** From the largest tile to the smallest. */
  tilings: readonly MultiplyTiling[];
  /** 'parts': products and a softmax over chunks of the tokens, with scores in memory. */
  attention: 'flash' | 'parts';
}

export interface Recording {
  readonly device: Device;
  readonly recorder: Recorder;
  readonly scratch: Pick<Scratch, 'take'>;
  readonly strategy: Strategy;
  readonly sizes: LayerSizes;
}

export function recordProduct({ recorder, strategy }: Recording, product: Product): void {
  multiply(recorder, strategy.tilings, product);
}
