// All buffers of a device, counted so that a leak is visible.
import { messageOf, OutOfMemoryError } from '../package/errors';
import { Shared } from './shared';

/** GPUBufferUsage of the specification; not every host has the global. */
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

  /**
   * Returns a buffer of zeros. Throws OutOfMemoryError if it exceeds the device's limit; a device without
   * free memory reports that later, to an error scope.
   */
  create(label: string, bytes: number, flags: number): GpuBuffer {
    const size = roundUp(bytes);
    const max = this.#device.limits.maxBufferSize;
    if (size > max) {
      throw new OutOfMemoryError(`${label} needs ${size} bytes in one GPU buffer; expected at most ${max}`);
    }
    const buffer = this.#create(label, size, flags);
    this.#bytes += size;
    this.#buffers++;
    return new GpuBuffer(buffer, size, () => {
      this.#bytes -= size;
      this.#buffers--;
      buffer.destroy();
    });
  }

  #create(label: string, size: number, flags: number): GPUBuffer {
    try {
      return this.#device.createBuffer({ label, size, usage: flags });
    } catch (error) {
      // Some hosts throw here instead of reporting to an error scope. Size and usage are valid, so the device
      // is at fault.
      throw new OutOfMemoryError(`${label} needs ${size} bytes of GPU memory: ${messageOf(error)}`);
    }
  }

  /** Returns a buffer that kernels read and write. */
  createStorage(label: string, bytes: number): GpuBuffer {
    return this.create(label, bytes, usage.storage | usage.copySource | usage.copyTarget);
  }
}

/** A buffer, destroyed with its last owner. */
export class GpuBuffer extends Shared {
  readonly buffer: GPUBuffer;
  readonly bytes: number;
  readonly #destroy: () => void;

  /** `destroy` does nothing for a buffer that belongs to the user. */
  constructor(buffer: GPUBuffer, bytes: number, destroy: () => void) {
    super();
    this.buffer = buffer;
    this.bytes = bytes;
    this.#destroy = destroy;
  }

  protected override free(): void {
    this.#destroy();
  }
}
