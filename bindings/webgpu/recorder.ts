// Commands of one call, recorded first and then submitted together.
import { type Device, LimitError } from './device';
import type { Kernel, Parameters } from './kernels/kernel';
import { type GpuBuffer, usage } from './memory';

/**
 * A range of a buffer that a kernel accesses, in bytes. `offset` is a multiple of the device's offset
 * alignment.
 */
export interface Binding {
  buffer: GPUBuffer;
  offset?: number;
  size?: number;
}

interface Dispatch {
  pipeline: GPUComputePipeline;
  /** In the order of the kernel's bindings from 1 on; null if the kernel does not declare that binding. */
  bindings: readonly (Binding | null)[];
  /** Index of its numbers in the buffer of parameters. */
  slot: number;
  workgroups: readonly [number, number, number];
}

/** A dispatch, or a buffer to fill with zeros. */
type Command = Dispatch | { clears: GPUBuffer };

/** Bytes of a dispatch's numbers: an offset alignment that every device supports. */
const slotBytes = 256;

/**
 * Buffers for the numbers of dispatches. A call takes one and gives it back when it is submitted: later
 * writes are queued behind it.
 */
export class ParameterBuffers {
  readonly #device: Device;
  readonly #free: GpuBuffer[] = [];

  constructor(device: Device) {
    this.#device = device;
  }

  take(bytes: number): GpuBuffer {
    const index = this.#free.findIndex((buffer) => buffer.bytes >= bytes);
    if (index >= 0) return this.#free.splice(index, 1)[0]!;
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

/** Commands that can be submitted any number of times until they are released. */
export interface ReplayableCommands {
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

  /**
   * Records a dispatch. `floats` are the indices of those values that are not integers. Throws LimitError.
   */
  dispatch(
    kernel: Kernel,
    values: Parameters,
    floats: readonly number[],
    bindings: readonly (Binding | null)[],
    workgroups: readonly [number, number, number],
  ): void {
    if (workgroups.some((count) => count === 0)) return;
    const max = this.#device.gpu.limits.maxComputeWorkgroupsPerDimension;
    if (workgroups.some((count) => count > max)) {
      throw new LimitError(
        `${kernel.label} has ${workgroups.join(' × ')} workgroups; expected at most ${max} in each dimension`,
      );
    }
    const slot = this.#numbers.push({ values, floats }) - 1;
    const command = this.#device
      .pipeline(kernel)
      .then((pipeline) => ({ pipeline, bindings, slot, workgroups }));
    // `prepare` reports the error; an abandoned recording must not become an unhandled rejection.
    command.catch(() => {});
    this.#commands.push(command);
  }

  /** Calls `work` when the commands are submitted; never if the recording is abandoned. */
  afterSubmit(work: () => void): void {
    this.#afterSubmit.push(work);
  }

  clear(buffer: GPUBuffer): void {
    this.#commands.push(Promise.resolve({ clears: buffer }));
  }

  /** Waits for the pipelines. Resolves to a function that submits the commands without waiting. */
  async prepare(): Promise<() => void> {
    const commands = await Promise.all(this.#commands);
    return () => {
      if (commands.length === 0) return;
      const parameters = this.#parameters.take(this.#numberBytes);
      this.#submit(commands, this.#createBindGroups(commands, parameters.buffer));
      this.#parameters.give(parameters);
    };
  }

  /**
   * Waits for the pipelines. Resolves to a function that returns the commands for repeated submission:
   * numbers and bind groups are created once.
   */
  async prepareReplay(): Promise<() => ReplayableCommands> {
    const commands = await Promise.all(this.#commands);
    return () => {
      const parameters = this.#parameters.take(this.#numberBytes);
      const groups = this.#createBindGroups(commands, parameters.buffer);
      return {
        submit: () => this.#submit(commands, groups),
        release: () => this.#parameters.give(parameters),
      };
    };
  }

  get #numberBytes(): number {
    return Math.max(1, this.#numbers.length) * slotBytes;
  }

  /**
   * Uploads the numbers of all dispatches to `parameters` and returns the bind groups; null for other
   * commands.
   */
  #createBindGroups(commands: readonly Command[], parameters: GPUBuffer): (GPUBindGroup | null)[] {
    const { gpu } = this.#device;
    this.#device.upload(parameters, 0, this.#packNumbers());
    return commands.map((command) => {
      if ('clears' in command) return null;
      const { pipeline, bindings, slot } = command;
      const entries = [
        { binding: 0, resource: { buffer: parameters, offset: slot * slotBytes, size: slotBytes } },
        ...bindings.flatMap((resource, index) =>
          resource === null ? [] : [{ binding: index + 1, resource }],
        ),
      ];
      return gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    });
  }

  #submit(commands: readonly Command[], groups: readonly (GPUBindGroup | null)[]): void {
    const { gpu } = this.#device;
    const encoder = gpu.createCommandEncoder();
    let pass: GPUComputePassEncoder | null = null;
    for (const [index, command] of commands.entries()) {
      if ('clears' in command) {
        pass?.end();
        pass = null;
        encoder.clearBuffer(command.clears);
        continue;
      }
      pass ??= encoder.beginComputePass();
      pass.setPipeline(command.pipeline);
      pass.setBindGroup(0, groups[index]!);
      pass.dispatchWorkgroups(...command.workgroups);
    }
    pass?.end();
    gpu.queue.submit([encoder.finish()]);
    for (const work of this.#afterSubmit) work();
  }

  #packNumbers(): Uint32Array {
    const integers = new Uint32Array((this.#numbers.length * slotBytes) / 4);
    const singles = new Float32Array(integers.buffer);
    this.#numbers.forEach(({ values, floats }, slot) => {
      const first = (slot * slotBytes) / 4;
      values.forEach((value, index) => {
        (floats.includes(index) ? singles : integers)[first + index] = value;
      });
    });
    return integers;
  }
}
