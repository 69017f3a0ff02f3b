// A tensor's elements in GPU memory, as the package's Tensor holds them.
import type { ResidentTensor } from '../package/accelerator';
import { DeviceError, ShapeError } from '../package/errors';
import type { Device } from './device';
import type { GpuBuffer } from './memory';

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, dimension) => size * dimension, 1);

export class GpuTensor implements ResidentTensor {
  readonly device: Device;
  readonly storage: GpuBuffer;
  readonly #shape: readonly number[];

  /** Takes over one ownership of the storage. */
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

  reshaped(shape: readonly number[]): GpuTensor {
    const size = sizeOf(this.#shape);
    const known = sizeOf(shape.filter((dimension) => dimension !== -1));
    const free = shape.filter((dimension) => dimension === -1).length;
    const full =
      free === 1 && known > 0
        ? shape.map((dimension) => (dimension === -1 ? size / known : dimension))
        : shape;
    if (sizeOf(full) !== size || full.some((dimension) => !Number.isInteger(dimension) || dimension < 0)) {
      throw new ShapeError(
        `shape is [${shape.join(', ')}]; it takes one of ${size} elements, as [${this.#shape.join(', ')}] has`,
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

  /** The elements, once all that was submitted before is done. Throws DeviceError where they went with the device. */
  async read(): Promise<Float32Array> {
    this.#requireDevice();
    return this.device.guarded(() => this.device.read(this.buffer, 0, 4 * sizeOf(this.#shape)));
  }

  delete(): void {
    this.storage.release();
  }

  #requireDevice(): void {
    const { lost } = this.device;
    if (lost !== null) throw new DeviceError(`this Tensor was in GPU memory, and ${lost}`);
  }
}
