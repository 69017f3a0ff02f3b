// All buffers of a device: counted, so that a leak shows, and destroyed by whoever made them.
import { messageOf, OutOfMemoryError } from '../package/errors';

/** GPUBufferUsage of the specification: the global is not there in every host. */
export const usage = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128 } as const;

const alignment = 16;
const roundUp = (bytes: number): number => Math.max(alignment, Math.ceil(bytes / alignment) * alignment);

export class GpuMemory {
  readonly #device: GPUDevice;
  #bytes = 0;
  #buffers = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get bytes(): number {
    return this.#bytes;
  }
  get buffers(): number {
    return this.#buffers;
  }

  /** Zeros. Throws OutOfMemoryError for more than the device takes; a device that has no memory left says so later. */
  create(label: string, bytes: number, flags: number): GpuBuffer {
    const size = roundUp(bytes);
    const most = this.#device.limits.maxBufferSize;
    if (size > most) {
      throw new OutOfMemoryError(`${label} needs ${size} bytes in one GPU buffer; the device takes ${most}`);
    }
    const buffer = this.#make(label, size, flags);
    this.#bytes += size;
    this.#buffers++;
    return new GpuBuffer(buffer, size, () => {
      this.#bytes -= size;
      this.#buffers--;
      buffer.destroy();
    });
  }

  #make(label: string, size: number, flags: number): GPUBuffer {
    try {
      return this.#device.createBuffer({ label, size, usage: flags });
    } catch (error) {
      // Outside of an error scope, too, it is the card that failed, not the caller.
      throw new OutOfMemoryError(`${label} needs ${size} bytes in GPU memory: ${messageOf(error)}`);
    }
  }

  /** Numbers that kernels read and write. */
  createStorage(label: string, bytes: number): GpuBuffer {
    return this.create(label, bytes, usage.storage | usage.copySource | usage.copyTarget);
  }
}

/** A buffer with those who share it: the last one's release destroys it. */
export class GpuBuffer {
  readonly buffer: GPUBuffer;
  readonly bytes: number;
  readonly #destroy: () => void;
  #owners = 1;

  /** `destroy`: what the last owner does; nothing for a buffer that is the user's. */
  constructor(buffer: GPUBuffer, bytes: number, destroy: () => void) {
    this.buffer = buffer;
    this.bytes = bytes;
    this.#destroy = destroy;
  }

  share(): this {
    this.#owners++;
    return this;
  }

  release(): void {
    if (--this.#owners === 0) this.#destroy();
  }
}
