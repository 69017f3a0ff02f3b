// The package's calls on the GPU. They run in WebAssembly if that is faster or the GPU fails.
import type {
  AcceleratedBackward,
  AcceleratedForward,
  AcceleratedGraph,
  AcceleratedLayer,
  Accelerator,
  CallTensors,
  DeviceChoice,
  DeviceOptions,
  ForwardOptions,
  SavedForward,
} from '../package/accelerator';
import { DeviceError } from '../package/errors';
import type { GpuMemoryInUse, Location, ResidentTensor } from '../package/resident';
import { Tensor } from '../package/tensor';
import { outputShape } from '../package/layer_call';
import { moveTo, withTensorsInWasm } from '../package/transfer';
import { backwardInWasm } from './backward_in_wasm';
import { type CallSizes, callSizes } from './call';
import { checkCall } from './call_check';
import {
  checkTensors,
  disposeTensors,
  operandOf,
  operandsOf,
  shareTensor,
  shareTensors,
  toTensor,
  workOf,
} from './call_tensors';
import { cheaperAssociation, forwardFlops, runFlops } from './cost';
import type { Device } from './device';
import { DeviceLayers } from './device_layers';
import type { DeviceManager, ReadyDevice } from './device_manager';
import { Dispatcher } from './dispatcher';
import { plainLayer, unsupported } from './layer_support';
import { GpuBuffer } from './memory';
import { elementsOf, type Result } from './operands';
import type { Association } from './prepared_context';
import { GpuTensor } from './resident_tensor';
import { GpuSavedForward } from './saved_forward';
import type { Precision } from './weights';

/** The layer and call of Stable Diffusion 1.5 at 64 × 64, by which `preferred` is chosen. */
const referenceLayer = plainLayer(320, 768, 8);
const referenceCall = callSizes(referenceLayer, [2, 320, 64, 64], [2, 77, 768], null);

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let begin = 0;
  for (const part of parts) {
    all.set(part, begin);
    begin += part.length;
  }
  return all;
}

export class WebGpuAccelerator implements Accelerator {
  readonly #devices: DeviceManager;
  readonly #dispatcher: Dispatcher;
  readonly #layers: DeviceLayers;
  /** All devices that were used: memory may be in use on lost ones, too. */
  readonly #usedDevices = new Set<Device>();

  constructor(devices: DeviceManager, choice: DeviceChoice, precision: Precision) {
    this.#devices = devices;
    this.#dispatcher = new Dispatcher(devices, choice);
    this.#layers = new DeviceLayers(precision);
  }

  get isAvailable(): boolean {
    return this.#devices.get() !== null;
  }

  get preferred(): Location {
    const flops = forwardFlops(referenceLayer, referenceCall);
    const bytes = 4 * elementsOf(referenceCall.input);
    const decision = this.#devices.get()?.scheduler.decide({
      key: 'reference',
      wasm: { flops, uploadBytes: 0, downloadBytes: 0 },
      webgpu: { flops, uploadBytes: bytes, downloadBytes: bytes },
    });
    return decision?.device ?? 'wasm';
  }

  get state(): string {
    const { problem } = this.#devices;
    return problem === null ? 'in use' : `not in use: ${problem}`;
  }

  memoryInUse(): GpuMemoryInUse {
    const memories = [...this.#usedDevices].map(({ memory }) => memory);
    return {
      buffers: memories.reduce((total, { buffers }) => total + buffers, 0),
      bytes: memories.reduce((total, { bytes }) => total + bytes, 0),
    };
  }

  async synchronize(): Promise<void> {
    await this.#devices.get()?.device.gpu.queue.onSubmittedWorkDone();
  }

  async upload(values: Float32Array, shape: readonly number[]): Promise<ResidentTensor> {
    const device = this.#requireDevice();
    const storage = await device.allocate('tensor', values.byteLength);
    try {
      await device.guarded(async () => device.upload(storage.buffer, 0, values));
    } catch (error) {
      storage.release();
      throw error;
    }
    return new GpuTensor(device, storage, shape);
  }

  wrapBuffer(buffer: GPUBuffer, shape: readonly number[]): ResidentTensor {
    const device = this.#requireDevice();
    return new GpuTensor(device, new GpuBuffer(buffer, buffer.size, () => {}), shape);
  }

  async forward(
    layer: AcceleratedLayer,
    tensors: CallTensors,
    options: ForwardOptions,
    inWasm: (tensors: CallTensors) => Promise<Tensor>,
  ): Promise<AcceleratedForward> {
    const call = checkTensors(layer, tensors);
    const { record = null } = options;
    record?.check();
    const firstRow = record?.conditional ? call.input.batch / 2 : 0;
    const recorded = record && { groups: record.groups, firstRow };
    const location = options.location ?? tensors.input.location;
    const flops = forwardFlops(layer, call);
    const bytes = 4 * elementsOf(call.output);
    const operation = `forward${layer.training ? ', training' : ''}`;
    const work = workOf(operation, tensors, bytes, location, flops, flops);
    // Disposed when the call has ended, or with what it saved for its backward pass.
    const shared = shareTensors(tensors);
    let saved: SavedForward | null = null;
    const onGpu = async (ready: ReadyDevice): Promise<AcceleratedForward> => {
      const { device } = ready;
      this.#usedDevices.add(device);
      const gpuLayer = this.#layers.get(layer, layer, ready).layer.share();
      try {
        const parametersVersion = layer.parametersVersion;
        const done = await gpuLayer.forward(
          call,
          operandsOf(call, shared, device),
          { version: parametersVersion, values: () => layer.parameters() },
          { training: layer.training, resident: location === 'webgpu', recorded },
        );
        if (done.saved !== null) {
          saved = new GpuSavedForward(shared, parametersVersion, done.saved, gpuLayer);
        }
        if (record) record.add(joined(done.sums));
        return { output: toTensor(device, done.result, outputShape(layer, shared.input.shape)), saved };
      } finally {
        gpuLayer.release();
      }
    };
    try {
      const problem = unsupported(layer, layer.training);
      return await this.#dispatcher.dispatch(layer, work, { ...options, problem }, onGpu, async () => ({
        output: await runInWasm(shared, location, inWasm),
        saved: null,
      }));
    } finally {
      if (saved === null) disposeTensors(shared);
    }
  }

  async backward(
    layer: AcceleratedLayer,
    saved: SavedForward,
    outputGradient: Tensor,
    options: DeviceOptions,
  ): Promise<AcceleratedBackward> {
    const forward = saved as GpuSavedForward;
    const { device } = forward.layer;
    const location = options.location ?? outputGradient.location;
    const sharedGradient = shareTensor(outputGradient);
    const moment = layer.hold();
    forward.share();
    try {
      if (options.device !== 'wasm' && this.#devices.get()?.device === device) {
        try {
          return await this.#backwardOnGpu(layer, forward, sharedGradient, location === 'webgpu');
        } catch (error) {
          this.#dispatcher.fail(layer, error);
        }
      } else {
        const problem = this.#devices.problem ?? 'another device is in use';
        this.#dispatcher.record(layer, `wasm: ${options.device === 'wasm' ? 'requested' : problem}`);
      }
      return await backwardInWasm(forward, sharedGradient, moment, location);
    } finally {
      sharedGradient.dispose();
      forward.release();
      moment.release();
    }
  }

  async #backwardOnGpu(
    owner: AcceleratedLayer,
    { call, layer, input, context }: GpuSavedForward,
    outputGradient: Tensor,
    resident: boolean,
  ): Promise<AcceleratedBackward> {
    const { device } = layer;
    const done = await layer.backward(call, operandOf(outputGradient, device), resident);
    this.#devices.succeed();
    this.#dispatcher.record(owner, 'webgpu: its forward pass ran there');
    return {
      inputGradient: toTensor(device, done.inputGradient, input.shape),
      contextGradient: done.contextGradient && Tensor.from(done.contextGradient, context!.shape, 'float32'),
      parameterGradients: done.parameterGradients,
    };
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
    const flops = constants.context === null ? forwardFlops(layer, call) : runFlops(association, layer, call);
    const bytes = 4 * elementsOf(call.output);
    const work = workOf(`run, ${association}`, tensors, bytes, location, graph.flops, flops);
    // The constants, too: the graph may be disposed during the call.
    const { input, context, mask } = tensors;
    const shared = shareTensors({
      input,
      context: context ?? constants.context,
      mask: mask ?? constants.mask,
    });
    const onGpu = async (ready: ReadyDevice): Promise<Tensor> => {
      const result = await this.#runOnGpu(graph, call, association, shared, ready, location === 'webgpu');
      return toTensor(ready.device, result, outputShape(layer, shared.input.shape));
    };
    try {
      const problem = unsupported(layer, false);
      return await this.#dispatcher.dispatch(graph, work, { ...options, problem }, onGpu, () =>
        runInWasm(shared, location, inWasm),
      );
    } finally {
      disposeTensors(shared);
    }
  }

  explain(owner: object): string | null {
    return this.#dispatcher.explain(owner);
  }

  release(owner: object): void {
    this.#layers.release(owner);
  }

  async #runOnGpu(
    graph: AcceleratedGraph,
    call: CallSizes,
    association: Association,
    tensors: CallTensors,
    ready: ReadyDevice,
    resident: boolean,
  ): Promise<Result> {
    const { layer, constants } = graph;
    this.#usedDevices.add(ready.device);
    const deviceLayer = this.#layers.get(graph, layer, ready);
    const gpuLayer = deviceLayer.layer.share();
    try {
      const operands = operandsOf(call, tensors, ready.device);
      const parameters = { version: layer.parametersVersion, values: () => layer.parameters() };
      if (constants.context === null) {
        const options = { training: false, resident };
        return (await gpuLayer.forward(call, operands, parameters, options)).result;
      }
      const context = await deviceLayer.shareContext(call, operands.context!, parameters, association);
      try {
        return await gpuLayer.run(call, context, operands.input, operands.mask, resident);
      } finally {
        context.release();
      }
    } finally {
      gpuLayer.release();
    }
  }

  #requireDevice(): Device {
    const device = this.#devices.get()?.device;
    if (device === undefined) {
      throw new DeviceError(`there is no WebGPU device: ${this.#devices.problem ?? 'not yet'}`);
    }
    this.#usedDevices.add(device);
    return device;
  }
}

/**
 * Runs a call in WebAssembly, with copies of tensors that are in GPU memory, and moves the result to
 * `location`.
 */
async function runInWasm(
  tensors: CallTensors,
  location: Location,
  inWasm: (tensors: CallTensors) => Promise<Tensor>,
): Promise<Tensor> {
  return moveTo(location, await withTensorsInWasm(tensors, inWasm));
}

function associationOf({ association, layer, constants }: AcceleratedGraph, call: CallSizes): Association {
  if (constants.context === null) return 'plain';
  // The kernel of scores adds no number per key, which a folded bias of the queries would be; and a norm lies
  // between the matrices.
  if (layer.bias || layer.queryKeyNorm !== 'none') return 'plain';
  if (association !== 'auto') return association;
  return cheaperAssociation(layer, call);
}
