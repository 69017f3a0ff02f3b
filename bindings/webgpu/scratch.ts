// Scratch buffers of a layer, reused from call to call: the queue executes one call after another, so that
// calls may share them.
import type { Device } from './device';
import type { GpuBuffer } from './memory';

export class Scratch {
  readonly #device: Device;
  readonly #buffers = new Map<string, GpuBuffer>();

  constructor(device: Device) {
    this.#device = device;
  }

  /** Returns the buffer of this name with at least so many bytes. Its contents are undefined. */
  take(name: string, bytes: number): GPUBuffer {
    const old = this.#buffers.get(name);
    if (old !== undefined && old.bytes >= bytes) return old.buffer;
    // The device keeps a destroyed buffer alive for commands that were submitted.
    old?.release();
    this.#buffers.delete(name);
    const buffer = this.#device.memory.createStorage(name, bytes);
    this.#buffers.set(name, buffer);
    return buffer.buffer;
  }

  /** Frees all buffers. `take` can still be called; it creates new ones. */
  dispose(): void {
    for (const buffer of this.#buffers.values()) buffer.release();
    this.#buffers.clear();
  }
}
