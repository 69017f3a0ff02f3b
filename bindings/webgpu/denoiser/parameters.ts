// All parameters of a model on the card: one buffer of values, one of gradients, one of each of Adam's, so that one command
// takes care of all of them.
import type { Device } from '../device';
import type { GpuBuffer } from '../memory';
import { type Checkpoint, type Part, parts } from './checkpoint';
import { sizeOf, type Value } from './tape';

/** Elements that a parameter's place is a multiple of: bindings begin at multiples of 256 bytes on every device. */
const alignment = 64;

const partNames = Object.keys(parts) as Part[];

export class Parameters {
  /** Elements of a buffer: those between the parameters are zeros and stay so. */
  readonly size: number;
  readonly buffers: Record<Part | 'gradients', GPUBuffer>;
  readonly #device: Device;
  readonly #owned: GpuBuffer[] = [];
  readonly #places = new Map<string, { first: number; value: Value }>();

  /** Uploads what the checkpoint holds. Throws OutOfMemoryError. */
  constructor(device: Device, checkpoint: Checkpoint) {
    this.#device = device;
    const shapes = checkpoint.names.map((name) => [name, checkpoint.tensor('values', name).shape] as const);
    const firsts: number[] = [];
    let size = 0;
    for (const [, shape] of shapes) {
      firsts.push(size);
      size += Math.ceil(sizeOf({ shape }) / alignment) * alignment;
    }
    this.size = size;
    const make = (label: string): GPUBuffer => {
      const buffer = device.memory.createStorage(label, 4 * size);
      this.#owned.push(buffer);
      return buffer.buffer;
    };
    this.buffers = {
      values: make('parameters'),
      gradients: make('gradients of parameters'),
      mean: make('means of gradients'),
      square: make('means of squared gradients'),
      average: make('averages of parameters'),
    };
    shapes.forEach(([name, shape], index) => {
      const first = firsts[index]!;
      const bind = (buffer: GPUBuffer) => ({
        buffer,
        offset: 4 * first,
        size: 4 * Math.ceil(sizeOf({ shape }) / 4) * 4,
      });
      const value = { shape, binding: bind(this.buffers.values), gradient: bind(this.buffers.gradients) };
      this.#places.set(name, { first, value });
    });
    for (const part of partNames) this.#upload(part, checkpoint);
  }

  #upload(part: Part, checkpoint: Checkpoint): void {
    const all = new Float32Array(this.size);
    for (const [name, { first }] of this.#places) all.set(checkpoint.tensor(part, name).values, first);
    this.#device.upload(this.buffers[part], 0, all);
  }

  /** The parameter of that name. */
  get(name: string): Value {
    const place = this.#places.get(name);
    if (place === undefined) throw new Error(`the checkpoint has no parameter '${name}'`);
    return place.value;
  }

  /** What the card has now as a checkpoint's file, after so many steps; what was submitted until now is done in it. */
  async toFile(checkpoint: Checkpoint, step: number): Promise<Uint8Array> {
    const all = await Promise.all(
      partNames.map((part) => this.#device.read(this.buffers[part], 0, 4 * this.size)),
    );
    partNames.forEach((part, index) => {
      for (const [name, { first }] of this.#places) {
        const { values } = checkpoint.tensor(part, name);
        values.set(all[index]!.subarray(first, first + values.length));
      }
    });
    // At one go with the above: another call may wait for its numbers meanwhile.
    return checkpoint.toFile(step);
  }

  dispose(): void {
    this.#owned.splice(0).forEach((buffer) => buffer.release());
  }
}
