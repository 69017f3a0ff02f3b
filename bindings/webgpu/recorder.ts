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

/** Commands that can be submitted again and again, until whoever keeps them releases them. */
export interface KeptCommands {
  submit(): void;
  release(): void;
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
    return () => {
      if (commands.length === 0) return;
      const parameters = this.#parameters.take(this.#numberBytes);
      this.#submit(commands, this.#bindAll(commands, parameters.buffer));
      this.#parameters.give(parameters);
    };
  }

  /** The same for commands that are submitted many times: `keep` makes their numbers and bind groups once. */
  async readyToKeep(): Promise<() => KeptCommands> {
    const commands = await Promise.all(this.#commands);
    return () => {
      const parameters = this.#parameters.take(this.#numberBytes);
      const groups = this.#bindAll(commands, parameters.buffer);
      return {
        submit: () => this.#submit(commands, groups),
        release: () => this.#parameters.give(parameters),
      };
    };
  }

  get #numberBytes(): number {
    return Math.max(1, this.#numbers.length) * slotBytes;
  }

  /** Bind groups of the dispatches, and their numbers in `parameters`. */
  #bindAll(commands: readonly Command[], parameters: GPUBuffer): (GPUBindGroup | null)[] {
    const { gpu } = this.#device;
    this.#device.upload(parameters, 0, this.#packNumbers());
    return commands.map((command) => {
      if ('clears' in command) return null;
      const { pipeline, bindings, slot } = command;
      const entries = [
        { binding: 0, resource: { buffer: parameters, offset: slot * slotBytes, size: slotBytes } },
        ...bindings.flatMap((resource, at) => (resource === null ? [] : [{ binding: at + 1, resource }])),
      ];
      return gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    });
  }

  #submit(commands: readonly Command[], groups: readonly (GPUBindGroup | null)[]): void {
    const { gpu } = this.#device;
    const encoder = gpu.createCommandEncoder();
    let pass: GPUComputePassEncoder | null = null;
    for (const [at, command] of commands.entries()) {
      if ('clears' in command) {
        pass?.end();
        pass = null;
        encoder.clearBuffer(command.clears);
        continue;
      }
      pass ??= encoder.beginComputePass();
      pass.setPipeline(command.pipeline);
      pass.setBindGroup(0, groups[at]!);
      pass.dispatchWorkgroups(...command.workgroups);
    }
    pass?.end();
    gpu.queue.submit([encoder.finish()]);
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
