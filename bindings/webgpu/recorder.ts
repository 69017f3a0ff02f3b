// Commands of one call, recorded and submitted at once.
import type { Device } from './device';
import { LimitError } from './device';
import type { Kernel, Parameters } from './kernels/kernel';
import { type GpuBuffer, usage } from './memory';

/** A part of a buffer that a kernel sees, in bytes; the offset is what the device's alignment takes. */
export interface Binding {
  buffer: GPUBuffer;
  offset?: number;
  size?: number;
}

interface Dispatch {
  pipeline: GPUComputePipeline;
  /** In the order of the kernel's bindings from 1 on; null: the kernel has none there. */
  bindings: readonly (Binding | null)[];
  /** Where its numbers lie. */
  slot: number;
  workgroups: readonly [number, number, number];
}

/** A command: a dispatch, or a buffer to be filled with zeros. */
type Command = Dispatch | { clears: GPUBuffer };

/** Bytes from one dispatch's numbers to the next one's: every device takes that alignment. */
const slotBytes = 256;

/** Buffers of dispatches' numbers, one a call; given back once it is submitted, for the queue keeps what it was given. */
export class ParameterBuffers {
  readonly #device: Device;
  readonly #free: GpuBuffer[] = [];

  constructor(device: Device) {
    this.#device = device;
  }

  take(bytes: number): GpuBuffer {
    const fits = this.#free.findIndex((buffer) => buffer.bytes >= bytes);
    if (fits >= 0) return this.#free.splice(fits, 1)[0]!;
    const size = 2 ** Math.ceil(Math.log2(bytes));
    return this.#device.memory.create('parameters', size, usage.uniform | usage.copyTarget);
  }

  give(buffer: GpuBuffer): void {
    this.#free.push(buffer);
  }

  dispose(): void {
    this.#free.splice(0).forEach((buffer) => buffer.release());
  }
}

export class Recorder {
  readonly #device: Device;
  readonly #parameters: ParameterBuffers;
  readonly #commands: Promise<Command>[] = [];
  readonly #afterSubmit: (() => void)[] = [];
  readonly #numbers: { values: Parameters; floats: readonly number[] }[] = [];

  constructor(device: Device, parameters: ParameterBuffers) {
    this.#device = device;
    this.#parameters = parameters;
  }

  /** `floats`: places of those parameters that are no whole numbers. */
  dispatch(
    kernel: Kernel,
    values: Parameters,
    floats: readonly number[],
    bindings: readonly (Binding | null)[],
    workgroups: readonly [number, number, number],
  ): void {
    if (workgroups.some((count) => count === 0)) return;
    const most = this.#device.gpu.limits.maxComputeWorkgroupsPerDimension;
    if (workgroups.some((count) => count > most)) {
      throw new LimitError(`${kernel.label}: ${workgroups.join(' × ')} workgroups; the device takes ${most}`);
    }
    const slot = this.#numbers.push({ values, floats }) - 1;
    const command = this.#device
      .pipeline(kernel)
      .then((pipeline) => ({ pipeline, bindings, slot, workgroups }));
    // Told by ready; a recording that is given up awaits nothing.
    command.catch(() => {});
    this.#commands.push(command);
  }

  /** Calls `work` once the commands are submitted: never, where the recording is given up. */
  afterSubmit(work: () => void): void {
    this.#afterSubmit.push(work);
  }

  clear(buffer: GPUBuffer): void {
    this.#commands.push(Promise.resolve({ clears: buffer }));
  }

  /** Waits for the pipelines; after it, `submit` waits for nothing. */
  async ready(): Promise<() => void> {
    const commands = await Promise.all(this.#commands);
    return () => this.#submit(commands);
  }

  #submit(commands: readonly Command[]): void {
    if (commands.length === 0) return;
    const { gpu } = this.#device;
    const parameters = this.#parameters.take(Math.max(1, this.#numbers.length) * slotBytes);
    this.#device.upload(parameters.buffer, 0, this.#packNumbers());
    const encoder = gpu.createCommandEncoder();
    let pass: GPUComputePassEncoder | null = null;
    for (const command of commands) {
      if ('clears' in command) {
        pass?.end();
        pass = null;
        encoder.clearBuffer(command.clears);
        continue;
      }
      pass ??= encoder.beginComputePass();
      const { pipeline, bindings, slot, workgroups } = command;
      const entries = [
        { binding: 0, resource: { buffer: parameters.buffer, offset: slot * slotBytes, size: slotBytes } },
        ...bindings.flatMap((resource, at) => (resource === null ? [] : [{ binding: at + 1, resource }])),
      ];
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(...workgroups);
    }
    pass?.end();
    gpu.queue.submit([encoder.finish()]);
    this.#parameters.give(parameters);
    for (const work of this.#afterSubmit) work();
  }

  #packNumbers(): Uint32Array {
    const whole = new Uint32Array((this.#numbers.length * slotBytes) / 4);
    const floating = new Float32Array(whole.buffer);
    this.#numbers.forEach(({ values, floats }, slot) => {
      const first = (slot * slotBytes) / 4;
      values.forEach((value, place) => {
        (floats.includes(place) ? floating : whole)[first + place] = value;
      });
    });
    return whole;
  }
}
