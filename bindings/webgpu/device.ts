// A GPUDevice with its pipelines and memory. All errors become DeviceError or OutOfMemoryError.
import { CrossAttentionError, DeviceError, messageOf, OutOfMemoryError } from '../package/errors';
import type { Kernel } from './kernels/kernel';
import { type GpuBuffer, GpuMemory, usage } from './memory';

/** A call exceeds the limits of a working device. */
export class LimitError extends DeviceError {
  static override readonly name = 'LimitError';
}

export class Device {
  readonly gpu: GPUDevice;
  /** Referenced because some hosts lose a device whose adapter is garbage collected. */
  readonly adapter: GPUAdapter | null;
  readonly memory: GpuMemory;
  /** The adapter's name, for messages. */
  readonly description: string;
  /** True for a software adapter: WebGPU executed by the CPU. */
  readonly isSoftware: boolean;
  readonly hasSubgroups: boolean;
  #lost: string | null = null;
  /** Called when the device is lost. `gpu.lost.then` would keep its callbacks alive as long as the device. */
  readonly #lossListeners = new Set<() => void>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(gpu: GPUDevice, adapter: GPUAdapter | null = null) {
    this.gpu = gpu;
    this.adapter = adapter;
    this.memory = new GpuMemory(gpu);
    // Older browsers have no device.adapterInfo, and isFallbackAdapter is a property of the adapter.
    const infos = [gpu.adapterInfo, adapter?.info, adapter as Partial<GPUAdapterInfo> | null];
    const names = (['vendor', 'architecture', 'device', 'description'] as const).flatMap(
      (name) => infos.find((info) => info?.[name])?.[name] ?? [],
    );
    this.description = names.join(' ') || 'unnamed adapter';
    this.isSoftware =
      infos.some((info) => info?.isFallbackAdapter) ||
      /swiftshader|llvmpipe|lavapipe|warp/i.test(this.description);
    this.hasSubgroups = gpu.features.has('subgroups');
    void this.#lossReason().then((reason) => {
      this.#lost = reason;
      for (const listener of this.#lossListeners) listener();
    });
  }

  /** Resolves to the reason when the device is lost. */
  async #lossReason(): Promise<string> {
    const { reason, message } = await this.gpu.lost;
    return `the device was lost (${reason}${message ? `: ${message}` : ''})`;
  }

  /** The reason why the device was lost; null while it is usable. */
  get lost(): string | null {
    return this.#lost;
  }

  /**
   * Returns the pipeline of a kernel, compiled once for each label. Throws DeviceError if it does not
   * compile.
   */
  pipeline(kernel: Kernel): Promise<GPUComputePipeline> {
    let pipeline = this.#pipelines.get(kernel.label);
    if (pipeline === undefined) {
      pipeline = this.#compile(kernel);
      this.#pipelines.set(kernel.label, pipeline);
      // The next call compiles it again.
      pipeline.catch(() => this.#pipelines.delete(kernel.label));
    }
    return pipeline;
  }

  async #compile({ label, code, constants = {} }: Kernel): Promise<GPUComputePipeline> {
    try {
      const module = this.gpu.createShaderModule({ label, code: code() });
      return await this.gpu.createComputePipelineAsync({
        label,
        layout: 'auto',
        compute: { module, entryPoint: 'main', constants },
      });
    } catch (error) {
      throw new DeviceError(`the shader '${label}' does not compile: ${messageOf(error)}`);
    }
  }

  /**
   * Calls `work` in error scopes. Resolves to its result when the device has reported no error in what it
   * submitted before its first `await`. Throws DeviceError, OutOfMemoryError.
   */
  async guarded<T>(work: () => Promise<T>): Promise<T> {
    const kinds = ['internal', 'validation', 'out-of-memory'] as const;
    if (this.#lost !== null) throw new DeviceError(this.#lost);
    // Scopes are a stack: an `await` between push and pop would let errors of other calls in.
    kinds.forEach((kind) => this.gpu.pushErrorScope(kind));
    let result: Promise<T>;
    let scopes: Promise<GPUError | null>[];
    try {
      result = work();
    } finally {
      scopes = kinds.map(() => this.gpu.popErrorScope());
    }
    const settled = await this.#unlessLost(Promise.allSettled([result, ...scopes]));
    if (settled === null) throw new DeviceError(await this.#lossReason());
    const [value, ...errors] = settled;
    for (const error of errors) {
      if (error.status === 'rejected') throw new DeviceError(this.#lost ?? messageOf(error.reason));
      if (error.value === null) continue;
      const { message } = error.value;
      const isMemory = error.value.constructor.name === 'GPUOutOfMemoryError';
      throw isMemory
        ? new OutOfMemoryError(`the GPU is out of memory: ${message}`)
        : new DeviceError(message);
    }
    if (this.#lost !== null) throw new DeviceError(this.#lost);
    if (value.status === 'rejected') {
      if (value.reason instanceof CrossAttentionError) throw value.reason;
      throw new DeviceError(messageOf(value.reason));
    }
    return value.value;
  }

  /** Resolves to a buffer of zeros when the device has confirmed it. Throws OutOfMemoryError, DeviceError. */
  async allocate(label: string, bytes: number): Promise<GpuBuffer> {
    let created: GpuBuffer | null = null;
    try {
      return await this.guarded(async () => (created = this.memory.createStorage(label, bytes)));
    } catch (error) {
      (created as GpuBuffer | null)?.release();
      throw error;
    }
  }

  /**
   * Resolves to null if the device is lost meanwhile: some hosts never settle the promises of a lost device.
   */
  async #unlessLost<T>(work: Promise<T>): Promise<T | null> {
    let listener = (): void => {};
    const lost = new Promise<null>((resolve) => (listener = () => resolve(null)));
    this.#lossListeners.add(listener);
    try {
      return await Promise.race([work, lost]);
    } finally {
      this.#lossListeners.delete(listener);
    }
  }

  /** Copies numbers to a buffer, from byte `offset` on. */
  upload(buffer: GPUBuffer, offset: number, values: Float32Array | Uint32Array): void {
    if (values.byteLength === 0) return;
    this.gpu.queue.writeBuffer(buffer, offset, notShared(values));
  }

  /** Resolves to the contents of a buffer after all submitted work. */
  async read(buffer: GPUBuffer, offset: number, bytes: number): Promise<Float32Array<ArrayBuffer>> {
    if (bytes === 0) return new Float32Array(0);
    const staging = this.memory.create('read-back', bytes, usage.mapRead | usage.copyTarget);
    try {
      const encoder = this.gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset, staging.buffer, 0, bytes);
      this.gpu.queue.submit([encoder.finish()]);
      await staging.buffer.mapAsync(1, 0, staging.bytes);
      return new Float32Array(staging.buffer.getMappedRange().slice(0, bytes));
    } finally {
      staging.release();
    }
  }
}

/** Returns the numbers, copied if they are in shared memory: some hosts reject that in writeBuffer. */
function notShared(values: Float32Array | Uint32Array): Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> {
  const { buffer } = values;
  const isShared = typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer;
  return (isShared ? values.slice() : values) as Float32Array<ArrayBuffer>;
}
