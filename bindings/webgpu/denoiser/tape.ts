// What a training step is made of: values on the card, commands that make them, and – each recorded as its operator is – how
// their gradients are made. A step has the same shapes every time, so that it is recorded once and submitted many times.
import type { Device } from '../device';
import { multiply, type Product } from '../matrix';
import type { GpuBuffer } from '../memory';
import type { Binding, Recorder } from '../recorder';
import type { Recording, Strategy } from '../recording';
import type { LayerSizes } from '../../package/accelerator';
import { type ElementKernel, elementKernel, grid } from './kernels';

/** Numbers on the card, [batch, tokens, features] or what a parameter has. */
export interface Value {
  readonly shape: readonly number[];
  readonly binding: Binding;
  /** Where d(loss)/d(value) is made; null for what is given. */
  readonly gradient: Binding | null;
}

/** The gradient of a value as an operator's backward finds it. */
export interface Target {
  binding: Binding;
  /** Whether other operators have written there: what is added to is not to be lost. */
  adds: boolean;
}

export const sizeOf = ({ shape }: Pick<Value, 'shape'>): number =>
  shape.reduce((product, size) => product * size, 1);

export class Tape {
  readonly device: Device;
  readonly recorder: Recorder;
  readonly #strategy: Strategy;
  readonly #buffers: GpuBuffer[] = [];
  readonly #scratch = new Map<string, GpuBuffer>();
  readonly #backwards: (() => void)[] = [];
  readonly #written = new Set<Binding>();

  constructor(device: Device, recorder: Recorder, strategy: Strategy) {
    this.device = device;
    this.recorder = recorder;
    this.#strategy = strategy;
  }

  #make(label: string, bytes: number): GpuBuffer {
    const buffer = this.device.memory.createStorage(label, bytes);
    this.#buffers.push(buffer);
    return buffer;
  }

  /** What an operator makes. */
  value(label: string, shape: readonly number[]): Value {
    const bytes = 4 * sizeOf({ shape });
    return {
      shape,
      binding: { buffer: this.#make(label, bytes).buffer },
      gradient: { buffer: this.#make(`gradient of ${label}`, bytes).buffer },
    };
  }

  /** What a step is given, by uploads. */
  input(label: string, shape: readonly number[]): Value {
    return { shape, binding: { buffer: this.#make(label, 4 * sizeOf({ shape })).buffer }, gradient: null };
  }

  /** The same numbers in another shape. */
  reshaped(value: Value, shape: readonly number[]): Value {
    return { ...value, shape };
  }

  /** What is used within one operator only, and by the next one again: at least so many bytes. */
  take(name: string, bytes: number): GPUBuffer {
    const old = this.#scratch.get(name);
    if (old !== undefined && old.bytes >= bytes) return old.buffer;
    // Commands that are recorded keep the smaller one.
    const larger = this.#make(name, bytes);
    this.#scratch.set(name, larger);
    return larger.buffer;
  }

  /** For the layer's own commands. */
  recordingOf(sizes: LayerSizes): Recording {
    return { device: this.device, recorder: this.recorder, scratch: this, strategy: this.#strategy, sizes };
  }

  multiply(product: Product): void {
    multiply(this.recorder, this.#strategy.tilings, product);
  }

  /** One invocation for each of `count` elements; `numbers` as the kernel names them. */
  forElements(
    kernel: ElementKernel,
    count: number,
    numbers: Readonly<Record<string, number>>,
    bindings: readonly Binding[],
  ): void {
    const names = kernel.numbers ?? [];
    const values = [count, ...names.map((name) => numbers[name]!)];
    const floats = (kernel.floats ?? []).map((name) => 1 + names.indexOf(name));
    this.recorder.dispatch(elementKernel(kernel), values, floats, bindings, grid(count));
  }

  /** `work` records an operator's backward; backwards are called in reverse order. */
  onBackward(work: () => void): void {
    this.#backwards.push(work);
  }

  /** Records how all gradients are made, from those that are written already. */
  backward(): void {
    for (const work of this.#backwards.splice(0).reverse()) work();
  }

  /** The gradient that all operators which took a value have made; called by the one that made it. */
  slope(value: Value): Binding {
    if (value.gradient === null || !this.#written.has(value.gradient))
      throw new Error(`nothing has made the gradient of a value [${value.shape.join(', ')}]`);
    return value.gradient;
  }

  /** Where an operator's backward writes, or adds, all of a value's gradient. Null: it has none. */
  target({ gradient }: Value): Target | null {
    if (gradient === null) return null;
    const adds = this.#written.has(gradient);
    this.#written.add(gradient);
    return { binding: gradient, adds };
  }

  /** The same for those that cannot add: no other operator may have taken the value. */
  onlyTarget(value: Value): Binding {
    const { binding, adds } = this.target(value)!;
    if (adds) throw new Error(`the gradient of a value [${value.shape.join(', ')}] is made twice`);
    return binding;
  }

  /** The same for those that write a part: they add, to zeros at first. A value of its own buffer. */
  partTarget(value: Value): Binding {
    const { binding, adds } = this.target(value)!;
    if (!adds) this.recorder.clear(binding.buffer);
    return binding;
  }

  dispose(): void {
    this.#buffers.splice(0).forEach((buffer) => buffer.release());
    this.#scratch.clear();
  }
}
