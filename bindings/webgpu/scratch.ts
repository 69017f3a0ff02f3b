// Buffers that a layer works in, kept from call to call: the queue does one call after another, so that calls may share them.
import type { Device } from './device';
import type { GpuBuffer } from './memory';

export class Scratch {
  readonly #device: Device;
  readonly #buffers = new Map<string, GpuBuffer>();

  constructor(device: Device) {
    this.#device = device;
  }

  /** At least so many bytes; what is in them is what the last call left. */
  take(name: string, bytes: number): GPUBuffer {
    const old = this.#buffers.get(name);
    if (old !== undefined && old.bytes >= bytes) return old.buffer;
    // Of commands that were submitted the device takes care itself.
    old?.release();
    this.#buffers.delete(name);
    const buffer = this.#device.memory.createStorage(name, bytes);
    this.#buffers.set(name, buffer);
    return buffer.buffer;
  }

  /** Frees all; what is taken then is made anew. */
  dispose(): void {
    for (const buffer of this.#buffers.values()) buffer.release();
    this.#buffers.clear();
  }
}
