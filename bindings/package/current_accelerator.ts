// State: the accelerator that init started.
import type { Accelerator } from './accelerator';
import { setGpuMemory } from './runtime';

let current: Accelerator | null = null;

/** Returns the accelerator; null if all calls run in WebAssembly. */
export const accelerator = (): Accelerator | null => current;

export function setAccelerator(started: Accelerator | null): void {
  current = started;
  setGpuMemory(started);
}
