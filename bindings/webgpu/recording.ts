// What commands are recorded with: all that functions of forward.ts, backward.ts, folded.ts and attention.ts share.
import type { Device } from './device';
import type { MultiplyTiling } from './kernels/multiply';
import { multiply, type Product } from './matrix';
import type { Recorder } from './recorder';
import type { Scratch } from './scratch';
import type { LayerSizes } from './weights';

/** How a device computes: found out by calibration. */
export interface Strategy {
  /** From the largest tile to the smallest. */
  tilings: readonly MultiplyTiling[];
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
