// A GPUDevice with what is made once for it: pipelines, memory, and whether it is still there.
import { CrossAttentionError, DeviceError, messageOf, OutOfMemoryError } from '../package/errors';
import type { Kernel } from './kernels/kernel';
import { type GpuBuffer, GpuMemory, usage } from './memory';

/** A call that is too large for the device, which is well. */
export class LimitError extends DeviceError {
  static override readonly name = 'LimitError';
}

export class Device {
  readonly gpu: GPUDevice;
  /** Kept, for some hosts let a device go with the adapter that gave it. */
  readonly adapter: GPUAdapter | null;
  readonly memory: GpuMemory;
  /** The adapter, for people. */
  readonly description: string;
  /** A processor that plays a graphics card. */
  readonly isSoftware: boolean;
  readonly hasSubgroups: boolean;
  #lost: string | null = null;
  /** To be called when it is lost. Not so many `lost.then`: those would keep what they wait for as long as the device lives. */
  readonly #whenLost = new Set<() => void>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(gpu: GPUDevice, adapter: GPUAdapter | null = null) {
    this.gpu = gpu;
    this.adapter = adapter;
    this.memory = new GpuMemory(gpu);
    const {
      vendor = '',
      architecture = '',
      device = '',
      description = '',
      isFallbackAdapter = false,
    } = gpu.adapterInfo ?? {};
    const names = [vendor, architecture, device, description].filter((name) => name !== '');
    this.description = names.join(' ') || 'an adapter without a name';
    this.isSoftware = isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|warp/i.test(this.description);
    this.hasSubgroups = gpu.features.has('subgroups');
    void this.#whyLost().then((reason) => {
      this.#lost = reason;
      for (const tell of this.#whenLost) tell();
    });
  }

  async #whyLost(): Promise<string> {
    const { reason, message } = await this.gpu.lost;
    return `the device was lost (${reason}${message ? `: ${message}` : ''})`;
  }

  /** Why it can't be used any more; null while it can. */
  get lost(): string | null {
    return this.#lost;
  }

  /** Compiled once for each label. Throws DeviceError where the shader does not compile here. */
  pipeline({ label, code }: Kernel): Promise<GPUComputePipeline> {
    let pipeline = this.#pipelines.get(label);
    if (pipeline === undefined) {
      pipeline = this.#compile(label, code);
      this.#pipelines.set(label, pipeline);
      // Tried again next time.
      pipeline.catch(() => this.#pipelines.delete(label));
    }
    return pipeline;
  }

  async #compile(label: string, code: () => string): Promise<GPUComputePipeline> {
    try {
      const module = this.gpu.createShaderModule({ label, code: code() });
      return await this.gpu.createComputePipelineAsync({
        label,
        layout: 'auto',
        compute: { module, entryPoint: 'main' },
      });
    } catch (error) {
      throw new DeviceError(`the shader '${label}' does not compile: ${messageOf(error)}`);
    }
  }

  /**
   * What `work` gives, once the device has told of no error in what it submitted. Throws DeviceError or OutOfMemoryError.
   */
  async guarded<T>(work: () => Promise<T>): Promise<T> {
    const kinds = ['internal', 'validation', 'out-of-memory'] as const;
    if (this.#lost !== null) throw new DeviceError(this.#lost);
    // Scopes are a stack: nothing may be awaited between a push and its pop, or another call's errors get in.
    kinds.forEach((kind) => this.gpu.pushErrorScope(kind));
    let result: Promise<T>;
    let scopes: Promise<GPUError | null>[];
    try {
      result = work();
    } finally {
      scopes = kinds.map(() => this.gpu.popErrorScope());
    }
    const settled = Promise.allSettled([result, ...scopes]);
    const ended = await this.#unlessLost(settled);
    if (ended === null) throw new DeviceError(await this.#whyLost());
    const [value, ...errors] = ended;
    for (const error of errors) {
      if (error.status === 'rejected') throw new DeviceError(this.#lost ?? messageOf(error.reason));
      if (error.value === null) continue;
      const { message } = error.value;
      const isMemory = error.value.constructor.name === 'GPUOutOfMemoryError';
      throw isMemory
        ? new OutOfMemoryError(`the GPU has no memory left: ${message}`)
        : new DeviceError(message);
    }
    if (this.#lost !== null) throw new DeviceError(this.#lost);
    if (value.status === 'rejected') {
      if (value.reason instanceof CrossAttentionError) throw value.reason;
      throw new DeviceError(messageOf(value.reason));
    }
    return value.value;
  }

  /** A buffer that is surely there. Throws OutOfMemoryError, DeviceError. */
  async allocate(label: string, bytes: number): Promise<GpuBuffer> {
    let made: GpuBuffer | null = null;
    try {
      return await this.guarded(async () => (made = this.memory.createStorage(label, bytes)));
    } catch (error) {
      (made as GpuBuffer | null)?.release();
      throw error;
    }
  }

  /** Null where the device is lost meanwhile: not every host ends what waits for one that is gone. */
  async #unlessLost<T>(work: Promise<T>): Promise<T | null> {
    let tell = (): void => {};
    const lost = new Promise<null>((resolve) => (tell = () => resolve(null)));
    this.#whenLost.add(tell);
    try {
      return await Promise.race([work, lost]);
    } finally {
      this.#whenLost.delete(tell);
    }
  }

  /** Copies numbers into a buffer. */
  upload(buffer: GPUBuffer, offset: number, values: Float32Array | Uint32Array): void {
    if (values.byteLength === 0) return;
    this.gpu.queue.writeBuffer(buffer, offset, notShared(values));
  }

  /** The bytes of a buffer, once all that was submitted before is done. */
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

/** Not every host copies from memory that is shared with threads. */
function notShared(values: Float32Array | Uint32Array): Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> {
  const { buffer } = values;
  const isShared = typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer;
  return (isShared ? values.slice() : values) as Float32Array<ArrayBuffer>;
}
