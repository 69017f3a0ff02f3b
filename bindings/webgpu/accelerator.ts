// Calls on the graphics card, or in WebAssembly where that is better or the card can't: the one way in from the package.
import type {
  AcceleratedBackward,
  AcceleratedForward,
  AcceleratedGraph,
  AcceleratedLayer,
  Accelerator,
  CallTensors,
  DeviceChoice,
  DeviceOptions,
  GpuMemoryInUse,
  Location,
  ResidentTensor,
  SavedForward,
} from '../package/accelerator';
import { DeviceError, OutOfMemoryError } from '../package/errors';
import { putAt, withTensorsInWasm } from '../package/places';
import { residentOf, Tensor } from '../package/tensor';
import { type CallSizes, checkCall } from './call';
import {
  allShared,
  checkTensors,
  disposeAll,
  operandOf,
  operandsOf,
  shared,
  toTensor,
  workOf,
} from './call_tensors';
import { forwardFlops } from './calibrate';
import type { CallWork } from './cost_model';
import { type Device, LimitError } from './device';
import type { DeviceKeeper, ReadyDevice } from './device_keeper';
import { type Association, type KeptContext, runFlops } from './folded';
import { GpuLayer } from './gpu_layer';
import { GpuBuffer } from './memory';
import type { Result } from './operands';
import { GpuTensor } from './resident_tensor';
import { SavedOnCard } from './saved_on_card';
import { type Decision, decisionText } from './scheduler';
import type { Precision } from './weights';

/** What a layer or graph has on a device. */
interface OnDevice {
  layer: GpuLayer;
  kept: { context: Promise<KeptContext>; parametersVersion: number } | null;
}

function releaseKept(held: OnDevice): void {
  held.kept?.context.then(
    (context) => context.release(),
    () => {},
  );
  held.kept = null;
}

/** The sizes of a layer of Stable Diffusion 1.5, by which `preferred` is decided. */
const reference = { queryDim: 320, contextDim: 768, numHeads: 8, headDim: 40, scale: 1 };

export class WebGpuAccelerator implements Accelerator {
  readonly #keeper: DeviceKeeper;
  readonly #choice: DeviceChoice;
  readonly #precision: Precision;
  readonly #owners = new WeakMap<object, OnDevice>();
  readonly #decisions = new WeakMap<object, string>();
  /** Devices that were used, for what is left on them to be counted. */
  readonly #devices = new Set<Device>();

  constructor(keeper: DeviceKeeper, choice: DeviceChoice, precision: Precision) {
    this.#keeper = keeper;
    this.#choice = choice;
    this.#precision = precision;
  }

  get isThere(): boolean {
    return this.#keeper.get() !== null;
  }

  get preferred(): Location {
    const flops = forwardFlops(reference, 2, 4096, 2, 77);
    const bytes = 4 * 2 * 320 * 4096;
    const decision = this.#keeper.get()?.scheduler.decide({
      key: 'reference',
      wasm: { flops, uploadBytes: 0, downloadBytes: 0 },
      webgpu: { flops, uploadBytes: bytes, downloadBytes: bytes },
    });
    return decision?.device ?? 'wasm';
  }

  get state(): string {
    const { problem } = this.#keeper;
    return problem === null ? 'in use' : `not in use: ${problem}`;
  }

  memoryInUse(): GpuMemoryInUse {
    const memories = [...this.#devices].map(({ memory }) => memory);
    return {
      buffers: memories.reduce((sum, { buffers }) => sum + buffers, 0),
      bytes: memories.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  async synchronize(): Promise<void> {
    await this.#keeper.get()?.device.gpu.queue.onSubmittedWorkDone();
  }

  async upload(tensor: Tensor): Promise<ResidentTensor> {
    const device = this.#requireDevice();
    const resident = residentOf(tensor);
    if (resident !== null) return resident.reshaped(resident.shape());
    const values = tensor.view().slice() as Float32Array;
    const storage = await device.allocate('tensor', values.byteLength);
    try {
      await device.guarded(async () => device.upload(storage.buffer, 0, values));
    } catch (error) {
      storage.release();
      throw error;
    }
    return new GpuTensor(device, storage, tensor.shape);
  }

  wrapBuffer(buffer: GPUBuffer, shape: readonly number[]): ResidentTensor {
    const device = this.#requireDevice();
    return new GpuTensor(device, new GpuBuffer(buffer, buffer.size, () => {}), shape);
  }

  async forward(
    layer: AcceleratedLayer,
    tensors: CallTensors,
    options: DeviceOptions,
    inWasm: (tensors: CallTensors) => Promise<Tensor>,
  ): Promise<AcceleratedForward> {
    const call = checkTensors(layer, tensors);
    const location = options.location ?? tensors.input.location;
    const { input, context } = call;
    const flops = forwardFlops(layer, input.batch, input.tokens, context.batch, context.tokens);
    const work = workOf(`forward${layer.training ? ', training' : ''}`, tensors, location, flops, flops);
    // Kept until the call is over, or its backward.
    const own = allShared(tensors);
    let saved: SavedForward | null = null;
    const onCard = async (ready: ReadyDevice): Promise<AcceleratedForward> => {
      const { device } = ready;
      const gpuLayer = this.#onDevice(layer, layer, ready).layer.share();
      try {
        const parametersVersion = layer.parametersVersion;
        const done = await gpuLayer.forward(
          call,
          operandsOf(call, own, device),
          { version: parametersVersion, values: () => layer.parameters() },
          { keeps: layer.training, resident: location === 'webgpu' },
        );
        if (done.saved !== null) saved = new SavedOnCard(own, parametersVersion, done.saved, gpuLayer);
        return { output: toTensor(device, done.result, own.input.shape), saved };
      } finally {
        gpuLayer.dispose();
      }
    };
    try {
      return await this.#dispatch(layer, work, options, onCard, async () => ({
        output: await this.#inWasm(own, location, inWasm),
        saved: null,
      }));
    } finally {
      if (saved === null) disposeAll(own);
    }
  }

  async backward(
    layer: AcceleratedLayer,
    saved: SavedForward,
    outputGradient: Tensor,
    options: DeviceOptions,
  ): Promise<AcceleratedBackward | null> {
    const { call, layer: gpuLayer } = saved as SavedOnCard;
    const { device } = gpuLayer;
    const location = options.location ?? outputGradient.location;
    if (options.device === 'wasm' || this.#keeper.get()?.device !== device) {
      const reason =
        options.device === 'wasm' ? 'asked for' : (this.#keeper.problem ?? 'another device is in use');
      this.#decisions.set(layer, `wasm: ${reason}`);
      return null;
    }
    const own = shared(outputGradient);
    const held = (saved as SavedOnCard).share();
    try {
      const done = await gpuLayer.backward(call, operandOf(own, device), location === 'webgpu');
      this.#keeper.succeed();
      this.#decisions.set(layer, 'webgpu: the forward was done there');
      return {
        inputGradient: toTensor(device, done.inputGradient, saved.input.shape),
        contextGradient:
          done.contextGradient && Tensor.from(done.contextGradient, saved.context!.shape, 'float32'),
        parameterGradients: done.parameterGradients,
      };
    } catch (error) {
      this.#fail(layer, error);
      return null;
    } finally {
      own.dispose();
      held.dispose();
    }
  }

  async run(
    graph: AcceleratedGraph,
    tensors: CallTensors,
    options: DeviceOptions,
    inWasm: (tensors: CallTensors) => Promise<Tensor>,
  ): Promise<Tensor> {
    const { layer, constants, shapes } = graph;
    const call = checkCall(layer, shapes.input, shapes.context, shapes.mask);
    const location = options.location ?? tensors.input.location;
    const association = associationOf(graph, call);
    const flops =
      constants.context === null
        ? forwardFlops(layer, call.input.batch, call.input.tokens, call.context.batch, call.context.tokens)
        : runFlops(association, layer, call);
    const work = workOf(`run, ${association}`, tensors, location, graph.flops, flops);
    // Constants, too: the graph may be disposed of meanwhile.
    const { input, context, mask } = tensors;
    const own = allShared({
      input,
      context: context ?? constants.context,
      mask: mask ?? constants.mask,
    });
    const onCard = async (ready: ReadyDevice): Promise<Tensor> => {
      const result = await this.#runOnCard(graph, call, association, own, ready, location === 'webgpu');
      return toTensor(ready.device, result, own.input.shape);
    };
    try {
      return await this.#dispatch(graph, work, options, onCard, () => this.#inWasm(own, location, inWasm));
    } finally {
      disposeAll(own);
    }
  }

  explain(owner: object): string | null {
    return this.#decisions.get(owner) ?? null;
  }

  release(owner: object): void {
    const held = this.#owners.get(owner);
    this.#owners.delete(owner);
    if (held === undefined) return;
    releaseKept(held);
    held.layer.dispose();
  }

  async #runOnCard(
    graph: AcceleratedGraph,
    call: CallSizes,
    association: Association,
    tensors: CallTensors,
    ready: ReadyDevice,
    resident: boolean,
  ): Promise<Result> {
    const { layer, constants } = graph;
    const held = this.#onDevice(graph, layer, ready);
    const gpuLayer = held.layer.share();
    try {
      const operands = operandsOf(call, tensors, ready.device);
      const parameters = { version: layer.parametersVersion, values: () => layer.parameters() };
      if (constants.context === null) {
        const { result } = await gpuLayer.forward(call, operands, parameters, { keeps: false, resident });
        return result;
      }
      if (held.kept?.parametersVersion !== parameters.version) {
        releaseKept(held);
        const made = gpuLayer.keepContext(call, operands.context!, parameters, association);
        held.kept = { context: made, parametersVersion: parameters.version };
        made.catch(() => {
          if (held.kept?.context === made) held.kept = null;
        });
      }
      const context = (await held.kept!.context).share();
      try {
        return await gpuLayer.run(call, context, operands.input, operands.mask, resident);
      } finally {
        context.release();
      }
    } finally {
      gpuLayer.dispose();
    }
  }

  /** A call on the device that is chosen; in WebAssembly where the card fails. */
  async #dispatch<T>(
    owner: object,
    work: CallWork,
    options: DeviceOptions,
    onCard: (ready: ReadyDevice) => Promise<T>,
    inWasm: () => Promise<T>,
  ): Promise<T> {
    const choice = options.device ?? this.#choice;
    const ready = this.#keeper.get();
    const decision = this.#decide(choice, ready, work);
    this.#decisions.set(owner, decisionText(decision));
    if (decision.device === 'webgpu') {
      try {
        const start = performance.now();
        const result = await onCard(ready!);
        this.#keeper.succeed();
        // What stays on the card is there later than its Tensor.
        void ready!.device.gpu.queue
          .onSubmittedWorkDone()
          .then(() => ready!.scheduler.observe(work, 'webgpu', performance.now() - start))
          .catch(() => {});
        return result;
      } catch (error) {
        if (!this.#fail(owner, error)) throw error;
      }
    }
    const start = performance.now();
    const result = await inWasm();
    ready?.scheduler.observe(work, 'wasm', performance.now() - start);
    return result;
  }

  #decide(choice: DeviceChoice, ready: ReadyDevice | null, work: CallWork): Decision {
    const figures = { wasm: null, webgpu: null };
    if (choice === 'wasm') return { device: 'wasm', reason: 'asked for', ...figures };
    if (ready === null) {
      return {
        device: 'wasm',
        reason: `webgpu: ${this.#keeper.problem ?? 'the device is not there yet'}`,
        ...figures,
      };
    }
    const decision = ready.scheduler.decide(work);
    return choice === 'webgpu' ? { ...decision, device: 'webgpu', reason: 'asked for' } : decision;
  }

  /** Whether WebAssembly does the call instead: whatever is not the caller's own mistake. */
  #fail(owner: object, error: unknown): boolean {
    if (!(error instanceof DeviceError) && !(error instanceof OutOfMemoryError)) return false;
    if (!(error instanceof LimitError)) this.#keeper.fail(error);
    this.#decisions.set(owner, `wasm: webgpu failed: ${error.message}`);
    return true;
  }

  /** In WebAssembly, tensors of the card read back first, and the result put where it is wanted if that can be. */
  async #inWasm(
    tensors: CallTensors,
    location: Location,
    inWasm: (tensors: CallTensors) => Promise<Tensor>,
  ): Promise<Tensor> {
    return putAt(location, await withTensorsInWasm(tensors, inWasm));
  }

  /** What is on this device of an owner; made where nothing is. */
  #onDevice(owner: object, layer: AcceleratedLayer, { device, strategy }: ReadyDevice): OnDevice {
    const held = this.#owners.get(owner);
    if (held?.layer.device === device) return held;
    this.release(owner);
    this.#devices.add(device);
    const made = { layer: new GpuLayer(device, layer, this.#precision, strategy), kept: null };
    this.#owners.set(owner, made);
    return made;
  }

  #requireDevice(): Device {
    const device = this.#keeper.get()?.device;
    if (device === undefined)
      throw new DeviceError(`there is no GPU device: ${this.#keeper.problem ?? 'not yet'}`);
    this.#devices.add(device);
    return device;
  }
}

function associationOf({ association, layer, constants }: AcceleratedGraph, call: CallSizes): Association {
  if (constants.context === null) return 'plain';
  if (association !== 'auto') return association;
  return runFlops('folded', layer, call) < runFlops('plain', layer, call) ? 'folded' : 'plain';
}
