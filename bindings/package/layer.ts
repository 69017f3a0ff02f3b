import {
  accelerator,
  type AcceleratedLayer,
  type CallTensors,
  type DeviceOptions,
  type SavedForward,
} from './accelerator';
import {
  checkBoolean,
  checkDType,
  checkFinite,
  checkInteger,
  checkNumbers,
  checkOneOf,
  checkOptions,
  checkString,
  fail,
  isSameShape,
  show,
} from './checks';
import type { CoreLayer, CoreTensor, DType, TypedArray } from './core';
import { ArgumentError, ShapeError } from './errors';
import type { ComputationNode, GraphOptions } from './graph';
import { checkGraphOptions, nodeOrigin, wrapNodes } from './graph';
import { Owned } from './handles';
import { layerNodes } from './layer_graph';
import type { LayerGraph, LayerGraphNames } from './layer_graph';
import { checkDeviceOptions } from './layer_options';
import type { AsyncAttentionOptions, AttentionOptions, LayerOptions } from './layer_options';
import { awaitPending } from './pending';
import { putAt, withTensorsInWasm } from './places';
import { getCore, getRuntimeInfo } from './runtime';
import { checkTensor, randomSeed, Tensor, tensorHandle, tensorHandleOf, wrapTensor } from './tensor';
import { loadInto, saveFrom, validateAgainst } from './weights';
import type {
  LoadWeightsOptions,
  NamedTensors,
  WeightLoadResult,
  WeightLoadValidation,
  WeightMapping,
  WeightSource,
} from './weights';

const mostDimension = 32768;

/** Lets composeGraph have a graph with names of its own. */
export let exportLayerGraph: (
  layer: DiffusionCrossAttention,
  options: Required<GraphOptions>,
  names: LayerGraphNames,
) => LayerGraph;

type CoreCall = [CoreTensor, CoreTensor | null, CoreTensor | null, CoreTensor | null];

/**
 * Multi-head cross-attention as diffusion models use it (Rombach et al., 2022, section 3.3):
 * q = x·Wqᵀ, k = c·Wkᵀ, v = c·Wvᵀ, out = softmax(scale·q·kᵀ + mask)·v per head, joined, ·Woᵀ + bo. No residual, no norm.
 */
export class DiffusionCrossAttention {
  static readonly name = 'DiffusionCrossAttention';

  static {
    exportLayerGraph = (layer, options, names) => layer.#exportGraph(options, names);
  }

  readonly queryDim: number;
  readonly contextDim: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly spatialSize: number;
  readonly dtype: DType;
  readonly parameterCount: number;
  readonly supportsTraining: boolean = true;
  readonly supportsJitCompilation: boolean = true;
  readonly #owned: Owned<CoreLayer>;
  readonly #accelerated: AcceleratedLayer;
  /** Grows whenever the parameters change. */
  #parametersVersion = 0;
  /** The last training forward, where it was done on the graphics card. */
  #saved: SavedForward | null = null;
  #contextGradient: Tensor | null = null;

  /** Throws ArgumentError for dimensions that are no positive integers, or heads that do not divide queryDim. */
  constructor(queryDim: number, contextDim: number, numHeads = 8, spatialSize = 64, options?: LayerOptions) {
    const core = getCore();
    this.queryDim = checkInteger('queryDim', queryDim, 1, mostDimension);
    this.contextDim = checkInteger('contextDim', contextDim, 1, mostDimension);
    this.numHeads = checkInteger('numHeads', numHeads, 1, mostDimension);
    this.spatialSize = checkInteger('spatialSize', spatialSize, 1, mostDimension);
    const {
      dtype = 'float32',
      seed = randomSeed(),
      scale,
      blockSizeQ = 0,
      blockSizeKV = 0,
    } = checkOptions('options', options);
    this.dtype = checkDType('dtype', dtype);
    const layerClass = this.dtype === 'float32' ? core.LayerFloat32 : core.LayerFloat64;
    const handle = layerClass.create(
      queryDim,
      contextDim,
      numHeads,
      spatialSize,
      checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER),
      scale === undefined ? Number.NaN : checkFinite('scale', scale),
      checkInteger('blockSizeQ', blockSizeQ, 0, mostDimension),
      checkInteger('blockSizeKV', blockSizeKV, 0, mostDimension),
    );
    this.#owned = new Owned(this, handle);
    this.headDim = queryDim / numHeads;
    this.parameterCount = handle.parametersView().length;
    this.#accelerated = this.#describeForAccelerator(scale ?? 1 / Math.sqrt(this.headDim));
  }

  /** While true, a forward keeps what backward needs (inputs and log-sum-exp, never the probability matrix). */
  get training(): boolean {
    return this.#layer.training();
  }
  set training(training: boolean) {
    this.#layer.setTraining(checkBoolean('training', training));
  }

  /** Self-attention: the context is the input's own tokens. ShapeError where contextDim ≠ queryDim. */
  forward(input: Tensor): Tensor {
    return this.forwardWithContext(input, null);
  }

  /**
   * input [B, C, H, W], [B, N, C] or [N, C] with C = queryDim; context [B | 1, L, contextDim], [L, contextDim], or null
   * for self-attention. The output has the input's shape.
   */
  forwardWithContext(input: Tensor, context: Tensor | null, options?: AttentionOptions): Tensor {
    const layer = this.#layer;
    const output = wrapTensor(layer.forward(...this.#coreCall(input, context, options)), this.dtype);
    if (layer.training()) this.#dropSaved();
    return output;
  }

  /**
   * The same result without blocking the calling thread. In WebAssembly bit for bit: on a thread behind it where there are
   * threads, else in slices between which the event loop turns. On the graphics card, where `device` says so or – 'auto' –
   * that is expected to be faster, within 1e-4 of the largest element; WebAssembly takes over where the card fails. The
   * tensors may be disposed of meanwhile; do not write to them.
   */
  async forwardAsync(
    input: Tensor,
    context: Tensor | null,
    options?: AsyncAttentionOptions,
  ): Promise<Tensor> {
    const gpu = this.dtype === 'float32' ? accelerator() : null;
    const inWasm = async (tensors: CallTensors): Promise<Tensor> => {
      if (this.training) this.#dropSaved();
      return this.#forwardInWasm(this.#coreCall(tensors.input, tensors.context, tensors));
    };
    const { device, location } = checkDeviceOptions(options);
    if (gpu === null) return inWasm({ input, context, mask: options?.mask ?? null });
    const tensors = this.#callTensors(input, context, options);
    const { output, saved } = await gpu.forward(this.#accelerated, tensors, { device, location }, inWasm);
    if (saved !== null) {
      this.#dropSaved();
      // Disposed of meanwhile, the layer has no backward.
      if (this.#owned.disposed) saved.dispose();
      else this.#saved = saved;
    }
    return output;
  }

  /**
   * dL/d(input), of the input's shape, from dL/d(output) of the last training forward; adds to the parameters'
   * gradients. ArgumentError without a training forward since the parameters last changed.
   */
  backward(outputGradient: Tensor): Tensor {
    const layer = this.#layer;
    const gradient = tensorHandleOf('outputGradient', outputGradient, this.dtype);
    const saved = this.#currentSaved();
    if (saved !== null) this.#repeatForward(saved);
    const result = layer.backward(gradient);
    this.#dropContextGradient();
    const contextGradient = layer.contextGradient();
    if (contextGradient !== null) this.#contextGradient = wrapTensor(contextGradient, this.dtype);
    return wrapTensor(result, this.dtype);
  }

  /**
   * The same on the graphics card, where the forward was done there (forwardAsync while `training`); else as backward does
   * it. The parameters' gradients and contextGradient are in WASM memory afterwards.
   */
  async backwardAsync(outputGradient: Tensor, options?: DeviceOptions): Promise<Tensor> {
    void this.#layer;
    const { device, location } = checkDeviceOptions(options);
    checkTensor('outputGradient', outputGradient, this.dtype);
    const place = location ?? outputGradient.location;
    if (this.#currentSaved() === null && outputGradient.location === 'wasm') {
      return putAt(place, this.backward(outputGradient));
    }
    // Shared, so that disposing of it meanwhile does no harm.
    const gradient = outputGradient.reshape(outputGradient.shape);
    try {
      return (
        (await this.#backwardOnCard(gradient, { device, location })) ??
        putAt(place, await this.#backwardReadBack(gradient))
      );
    } finally {
      gradient.dispose();
    }
  }

  /** Which device the last forwardAsync or backwardAsync took and why, with the figures that it was weighed by. */
  explain(): string {
    this.#requireAlive();
    return (
      accelerator()?.explain(this.#accelerated) ??
      (this.dtype === 'float64'
        ? 'wasm: float64 is computed there only'
        : `wasm: webgpu: ${getRuntimeInfo().webgpu}`)
    );
  }

  /**
   * dL/d(context) of the last backward, of the context's shape; owned by the layer and good until its next backward,
   * resetState or dispose. Null for self-attention and before any backward.
   */
  get contextGradient(): Tensor | null {
    this.#requireAlive();
    return this.#contextGradient;
  }

  /** A copy of all parameters, flat, in the order of getParameterNames(). */
  getParameters(): TypedArray {
    return this.#layer.parametersView().slice();
  }

  /** Throws ShapeError unless there are parameterCount numbers. */
  setParameters(parameters: ArrayLike<number>): void {
    const layer = this.#layer;
    const numbers = checkNumbers('parameters', parameters);
    if (numbers.length !== this.parameterCount) {
      throw new ShapeError(`parameters has ${numbers.length} elements; it takes ${this.parameterCount}`);
    }
    const values = Tensor.from(numbers, [numbers.length], this.dtype);
    try {
      layer.setParameters(tensorHandle('parameters', values));
      this.#parametersVersion++;
    } finally {
      values.dispose();
    }
  }

  /** A copy of the gradients that backward has added up, flat, in the order of getParameterNames(). */
  getParameterGradients(): TypedArray {
    return this.#layer.gradientsView().slice();
  }

  clearGradients(): void {
    this.#layer.clearGradients();
  }

  /** Plain gradient descent: p ← p − learningRate·dp, then the gradients are cleared. */
  updateParameters(learningRate: number): void {
    this.#layer.updateParameters(checkFinite('learningRate', learningRate));
    this.#parametersVersion++;
  }

  /** Forgets cached activations, the contextGradient and caches of contexts; parameters stay. */
  resetState(): void {
    this.#layer.resetState();
    this.#dropSaved();
    this.#dropContextGradient();
  }

  /** to_q.weight, to_k.weight, to_v.weight, to_out.0.weight, to_out.0.bias: the names that diffusers uses. */
  getParameterNames(): string[] {
    this.#requireAlive();
    return getCore().parameterNames();
  }

  get namedParameterCount(): number {
    return this.getParameterNames().length;
  }

  /** Weights are [outFeatures, inFeatures]; undefined for a name that no parameter has. */
  getParameterShape(name: string): number[] | undefined {
    return this.#layer.parameterShape(checkString('name', name));
  }

  /** A copy; undefined for a name that no parameter has. */
  getParameter(name: string): Tensor | undefined {
    const layer = this.#layer;
    const shape = layer.parameterShape(checkString('name', name));
    if (shape === undefined) return undefined;
    // A copy of its own: making the tensor may grow the memory and detach the view.
    return Tensor.from(layer.parameterView(name)!.slice(), shape, this.dtype);
  }

  /** False, and nothing done, for a name that no parameter has. ShapeError for another shape. */
  setParameter(name: string, value: Tensor): boolean {
    const handle = tensorHandleOf('value', value, this.dtype);
    const isSet = this.#layer.setParameter(checkString('name', name), handle);
    if (isSet) this.#parametersVersion++;
    return isSet;
  }

  /** Compares names, and shapes where a Map or object of Tensors is given, with the parameters', before a load. */
  validateWeights(weights: Iterable<string> | NamedTensors, mapping?: WeightMapping): WeightLoadValidation {
    this.#requireAlive();
    return validateAgainst(() => this.#layer, weights, mapping);
  }

  /**
   * From a safetensors file (F64, F32, F16, BF16 tensors) or named tensors. All or nothing: on a WeightsError the
   * parameters stay as they were.
   */
  loadWeights(weights: WeightSource, options?: LoadWeightsOptions): WeightLoadResult {
    this.#requireAlive();
    const result = loadInto(() => this.#layer, this.dtype, weights, options);
    this.#parametersVersion++;
    return result;
  }

  /** The parameters as a safetensors file that diffusers can read; dtype: as the layer's unless given. */
  saveWeights(options?: { prefix?: string; dtype?: 'F32' | 'F16' | 'BF16' | 'F64' }): Uint8Array {
    return saveFrom(this.#layer, this.dtype, options);
  }

  /**
   * Softmax probabilities, [B, L, H, W] for an image or [B, L, N] for tokens (B = 1 for [N, C]), averaged over the heads;
   * [B, heads, L, …] for 'all'.
   */
  attentionMaps(
    input: Tensor,
    context: Tensor | null,
    options?: AttentionOptions & { heads?: 'mean' | 'all' },
  ): Tensor {
    const layer = this.#layer;
    const { heads = 'mean' } = checkOptions('options', options);
    checkOneOf('heads', heads, ['mean', 'all']);
    const maps = layer.attentionMaps(...this.#coreCall(input, context, options), heads === 'all');
    return wrapTensor(maps, this.dtype);
  }

  /**
   * The layer as a graph of ONNX's operators on tokens [batch, tokens, queryDim] and a context [batch, contextLength,
   * contextDim]: pushes the input nodes (input, context, and mask if wanted) onto inputNodes and returns the output node.
   * Constants are the layer's parameters, not copies of them.
   */
  exportComputationGraph(inputNodes: ComputationNode[], options?: GraphOptions): ComputationNode {
    this.#requireAlive();
    if (!Array.isArray(inputNodes)) fail('inputNodes', inputNodes, 'an array to push nodes onto');
    const names = { input: 'input', tokens: 'tokens', context: null };
    const { inputs, output } = this.#exportGraph(checkGraphOptions(options), names);
    inputNodes.push(...inputs);
    return output;
  }

  /** What the layer is, where it runs and why, and what its last forward and backward took. */
  getDiagnostics(): Record<string, string> {
    const { threadsReason, device, webgpu, version } = getRuntimeInfo();
    return {
      ...this.#layer.diagnostics(),
      threadsReason,
      device,
      deviceReason: `webgpu: ${webgpu}`,
      ...(accelerator() && { webgpuState: accelerator()!.state, lastCall: this.explain() }),
      version,
      memoryInUse: String(getCore().memoryInUse()),
    };
  }

  /** Frees the memory. Twice is harmless. A forwardAsync that is under way is finished first. */
  dispose(): void {
    this.#dropSaved();
    this.#dropContextGradient();
    accelerator()?.release(this.#accelerated);
    this.#owned.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #layer(): CoreLayer {
    return this.#owned.get('this DiffusionCrossAttention');
  }

  /** Throws DisposedError after dispose, for members that do not need the core. */
  #requireAlive(): void {
    void this.#layer;
  }

  async #forwardInWasm(call: CoreCall): Promise<Tensor> {
    const pending = this.#layer.startForward(...call);
    try {
      await awaitPending(pending);
      return wrapTensor(pending.result(), this.dtype);
    } finally {
      pending.delete();
    }
  }

  #describeForAccelerator(scale: number): AcceleratedLayer {
    const { queryDim, contextDim, numHeads, headDim } = this;
    // A weak one: what the accelerator knows must not keep the layer from being collected.
    const self = new WeakRef(this);
    const layer = (): DiffusionCrossAttention => self.deref()!;
    return {
      queryDim,
      contextDim,
      numHeads,
      headDim,
      scale,
      get training() {
        return layer().training;
      },
      get isAlive() {
        const alive = self.deref();
        return alive !== undefined && !alive.#owned.disposed;
      },
      get parametersVersion() {
        return layer().#parametersVersion;
      },
      parameters: () => layer().#layer.parametersView() as Float32Array,
    };
  }

  /** The training forward that the next backward is of, where the graphics card did it. */
  #currentSaved(): SavedForward | null {
    if (this.#saved !== null && this.#saved.parametersVersion !== this.#parametersVersion) this.#dropSaved();
    return this.#saved;
  }

  /** Null where the forward was not done on the graphics card, or that can't do the backward. */
  async #backwardOnCard(outputGradient: Tensor, options: DeviceOptions): Promise<Tensor | null> {
    const saved = this.#currentSaved();
    if (saved === null) return null;
    if (!isSameShape(outputGradient.shape, saved.input.shape)) {
      throw new ShapeError(
        `outputGradient has shape ${show([...outputGradient.shape])}; it takes that of the last training forward's input, ${show([...saved.input.shape])}`,
      );
    }
    const done = await accelerator()!.backward(this.#accelerated, saved, outputGradient, options);
    if (done === null) return null;
    if (this.#owned.disposed) {
      done.contextGradient?.dispose();
      return done.inputGradient;
    }
    this.#addGradients(done.parameterGradients);
    this.#dropContextGradient();
    this.#contextGradient = done.contextGradient;
    return done.inputGradient;
  }

  /** In WebAssembly, what is in GPU memory read back first. */
  async #backwardReadBack(outputGradient: Tensor): Promise<Tensor> {
    const saved = this.#currentSaved();
    if (saved !== null) await withTensorsInWasm(saved, (tensors) => this.#repeatForward(tensors));
    const gradient = { input: outputGradient, context: null, mask: null };
    return withTensorsInWasm(gradient, ({ input }) => this.backward(input));
  }

  /** A backward in WebAssembly after a forward on the graphics card: the forward is done again here. */
  #repeatForward({ input, context, mask }: CallTensors): void {
    if ([input, context, mask].some((tensor) => tensor?.location === 'webgpu')) {
      throw new ArgumentError(
        'the last training forward was of a Tensor in GPU memory; its backward takes backwardAsync',
      );
    }
    const wasTraining = this.training;
    this.training = true;
    try {
      this.#layer.forward(...this.#coreCall(input, context, { mask })).delete();
    } finally {
      this.training = wasTraining;
    }
    this.#dropSaved();
  }

  #dropSaved(): void {
    this.#saved?.dispose();
    this.#saved = null;
  }

  #addGradients(parts: readonly Float32Array[]): void {
    const gradients = this.#layer.gradientsView();
    let first = 0;
    for (const part of parts) {
      for (let index = 0; index < part.length; ++index) gradients[first + index]! += part[index]!;
      first += part.length;
    }
  }

  /** The tensors of a call, wherever they are. */
  #callTensors(input: Tensor, context: Tensor | null, options: AttentionOptions | undefined): CallTensors {
    const { mask = null } = checkOptions('options', options);
    return {
      input: checkTensor('input', input, this.dtype),
      context: (context ?? null) === null ? null : checkTensor('context', context, this.dtype),
      mask: mask === null ? null : checkTensor('mask', mask, null),
    };
  }

  #dropContextGradient(): void {
    this.#contextGradient?.dispose();
    this.#contextGradient = null;
  }

  #exportGraph(options: Required<GraphOptions>, names: LayerGraphNames): LayerGraph {
    const core = getCore();
    const exportGraph = this.dtype === 'float32' ? core.exportGraphFloat32 : core.exportGraphFloat64;
    const { input, tokens, context } = names;
    const shared = context === null ? null : nodeOrigin(context);
    const handle = exportGraph(
      this.#layer,
      options.name,
      options.mask,
      input,
      tokens,
      shared?.nodes ?? null,
      shared?.place ?? 0,
    );
    const nodes = wrapNodes(handle, context);
    const inputNames = [input, ...(context === null ? ['context'] : []), ...(options.mask ? ['mask'] : [])];
    const inputs = inputNames.map((inputName) =>
      nodes.find((node) => node.op === 'Input' && node.name === inputName)!,
    );
    const graph = { inputs, output: nodes.at(-1)! };
    layerNodes.set(graph.output, {
      layer: this.#accelerated,
      input: inputs[0]!,
      context: context ?? inputs[1]!,
      mask: options.mask ? inputs.at(-1)! : null,
    });
    return graph;
  }

  /** The arguments of a call as the core takes them. */
  #coreCall(input: Tensor, context: Tensor | null, options: AttentionOptions | undefined): CoreCall {
    const { mask = null } = checkOptions('options', options);
    const inputHandle = tensorHandleOf('input', input, this.dtype);
    // Undefined is what JavaScript passes for an argument left out.
    const contextHandle = (context ?? null) === null ? null : tensorHandleOf('context', context, this.dtype);
    if (mask === null) return [inputHandle, contextHandle, null, null];
    const maskHandle = tensorHandle('mask', mask);
    return mask.dtype === 'float32'
      ? [inputHandle, contextHandle, maskHandle, null]
      : [inputHandle, contextHandle, null, maskHandle];
  }
}
