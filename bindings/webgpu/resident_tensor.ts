// The elements of a Tensor in GPU memory.
import { DeviceError, ShapeError } from '../package/errors';
import type { ResidentTensor } from '../package/resident';
import { sizeOf } from '../package/checks';
import type { Device } from './device';
import type { GpuBuffer } from './memory';

export class GpuTensor implements ResidentTensor {
  readonly device: Device;
  readonly storage: GpuBuffer;
  readonly #shape: readonly number[];

  /** Becomes an owner of `storage` in place of the caller. */
  constructor(device: Device, storage: GpuBuffer, shape: readonly number[]) {
    this.device = device;
    this.storage = storage;
    this.#shape = shape;
  }

  get buffer(): GPUBuffer {
    return this.storage.buffer;
  }

  shape(): number[] {
    return [...this.#shape];
  }

  /** Returns a tensor that shares the elements. One dimension may be -1. Throws ShapeError. */
  reshaped(shape: readonly number[]): GpuTensor {
    const size = sizeOf(this.#shape);
    const known = sizeOf(shape.filter((dimension) => dimension !== -1));
    const unknowns = shape.filter((dimension) => dimension === -1).length;
    const full =
      unknowns === 1 && known > 0
        ? shape.map((dimension) => (dimension === -1 ? size / known : dimension))
        : shape;
    if (sizeOf(full) !== size || full.some((dimension) => !Number.isInteger(dimension) || dimension < 0)) {
      throw new ShapeError(
        `shape is [${shape.join(', ')}]; expected one of ${size} elements, like [${this.#shape.join(', ')}]`,
      );
    }
    return new GpuTensor(this.device, this.storage.share(), full);
  }

  clone(): GpuTensor {
    this.#requireDevice();
    const bytes = 4 * sizeOf(this.#shape);
    const copy = this.device.memory.createStorage('tensor', bytes);
    if (bytes > 0) {
      const encoder = this.device.gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(this.buffer, 0, copy.buffer, 0, bytes);
      this.device.gpu.queue.submit([encoder.finish()]);
    }
    return new GpuTensor(this.device, copy, this.#shape);
  }

  /** Resolves to the elements after all submitted work. Throws DeviceError if the device was lost. */
  async read(): Promise<Float32Array> {
    this.#requireDevice();
    return this.device.guarded(() => this.device.read(this.buffer, 0, 4 * sizeOf(this.#shape)));
  }

  delete(): void {
    this.storage.release();
  }

  #requireDevice(): void {
    const { lost } = this.device;
    if (lost !== null) throw new DeviceError(`the elements of this Tensor were in GPU memory, and ${lost}`);
  }
}
