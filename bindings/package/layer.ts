import type { DeviceOptions } from './accelerator';
import { checkRecord, recordArguments } from './attention_recorder';
import { checkBoolean, checkOneOf, checkString, readOptions } from './checks';
import type { DType, TypedArray } from './core';
import { accelerator } from './current_accelerator';
import type { ComputationNode, GraphOptions } from './graph';
import { failInstance, guardMethods, lockFields } from './instances';
import { BackwardPass } from './layer_backward';
import { coreCall } from './layer_call';
import { forwardAsync } from './layer_forward';
import { exportComputationGraph } from './layer_graph';
import {
  type AsyncAttentionOptions,
  type AttentionOptions,
  checkLayer,
  type LayerOptions,
} from './layer_options';
import { getParameter, setParameter, setParameters } from './layer_parameters';
import { LayerState } from './layer_state';
import { setTrainableParameters, updateParameters } from './layer_training';
import { enableLoras, LoraLayer } from './lora_layer';
import type { NumbersLike } from './numbers';
import { getCore, getRuntimeInfo } from './runtime';
import { type Tensor, wrapTensor } from './tensor';
import type { WeightFile } from './weight_file';
import { loadFromFile, loadInto, saveFrom, validateAgainst } from './weights';
import type {
  LoadWeightsOptions,
  NamedTensors,
  WeightLoadResult,
  WeightLoadValidation,
  WeightBytes,
  WeightMapping,
} from './weights';

/**
 * Multi-head cross-attention of diffusion models (Rombach et al., 2022, section 3.3):
 *
 * q = x·Wqᵀ, k = c·Wkᵀ, v = c·Wvᵀ, out = concat over heads (softmax(scale·q·kᵀ + mask)·v)·Woᵀ + bo.
 *
 * There is no residual connection and no normalization.
 *
 * In shapes, B is the batch, N = H·W the number of tokens, L the number of context tokens (keys).
 *
 * @example
 * await init();
 * using layer = new DiffusionCrossAttention(320, 768, 8);
 * layer.loadWeights(file, { prefix: 'down_blocks.0.attentions.0.transformer_blocks.0.attn2.' });
 * using image = Tensor.randn([2, 320, 64, 64]);
 * using text = Tensor.randn([2, 77, 768]);
 * using output = layer.forwardWithContext(image, text); // [2, 320, 64, 64]
 */
export class DiffusionCrossAttention extends LoraLayer {
  static override readonly name = 'DiffusionCrossAttention';

  readonly queryDim: number;
  readonly contextDim: number;
  readonly numHeads: number;
  /** Channels of each head; queryDim / numHeads unless given. */
  readonly headDim: number;
  /** Channels of the output; queryDim unless given. */
  readonly outputDim: number;
  readonly spatialSize: number;
  readonly dtype: DType;
  /** The number of elements of all parameters. */
  readonly parameterCount: number;
  readonly supportsTraining: boolean = true;
  readonly supportsJitCompilation: boolean = true;
  readonly #state: LayerState;
  readonly #backwardPass: BackwardPass;

  static {
    guardMethods(this, (value) => #state in value);
  }

  /**
   * @param queryDim channels of the input and, unless outputDim is given, of the output, 1 to 32768
   * @param contextDim channels of the context, 1 to 32768
   * @param numHeads a divisor of queryDim, unless headDim is given; default 8
   * @param spatialSize height and width of a typical image; default 64. Inputs may have any size: only
   * getDiagnostics reports it.
   * @throws ArgumentError if a dimension is not a positive integer, numHeads does not divide queryDim, or an
   * option has another value than LayerOptions states.
   */
  constructor(queryDim: number, contextDim: number, numHeads = 8, spatialSize = 64, options?: LayerOptions) {
    super();
    const core = getCore();
    const checked = checkLayer(queryDim, contextDim, numHeads, spatialSize, options);
    const { dtype, sizes } = checked;
    this.queryDim = queryDim;
    this.contextDim = contextDim;
    this.numHeads = numHeads;
    this.headDim = sizes.headDim;
    this.outputDim = sizes.outputDim;
    this.spatialSize = spatialSize;
    this.dtype = dtype;
    const layerClass = dtype === 'float32' ? core.LayerFloat32 : core.LayerFloat64;
    const state = new LayerState(() => layerClass.create(checked.core), dtype, sizes);
    this.#state = enableLoras(this, state);
    this.#backwardPass = new BackwardPass(this.#state);
    this.parameterCount = this.#state.core.parametersView().length;
    lockFields(this);
  }

  /** @internal Returns the state of an argument that is a layer of this copy of the package. */
  static stateOf(argument: string, value: unknown): LayerState {
    if (typeof value === 'object' && value !== null && #state in value) return value.#state;
    failInstance(argument, value, DiffusionCrossAttention);
  }

  /**
   * While true, a forward saves what its backward needs: inputs and log-sum-exp, never the probability
   * matrix. Default false.
   */
  get training(): boolean {
    return this.#state.core.training();
  }
  set training(training: boolean) {
    this.#state.core.setTraining(checkBoolean('training', training));
  }

  /**
   * Self-attention: forwardWithContext with the input's own tokens as context. Throws ShapeError if
   * contextDim is not queryDim.
   */
  forward(input: Tensor): Tensor {
    return this.forwardWithContext(input, null);
  }

  /**
   * Returns the output, of the input's shape with outputDim channels and the layer's dtype. Blocks the
   * calling thread.
   *
   * @param input image [B, queryDim, H, W], tokens [B, N, queryDim] or [N, queryDim]
   * @param context [B | 1, L, contextDim] or [L, contextDim]; null for self-attention
   * @throws ShapeError or ArgumentError that names the argument.
   */
  forwardWithContext(input: Tensor, context: Tensor | null, options?: AttentionOptions): Tensor {
    const record = checkRecord(options);
    const call = coreCall(this.dtype, input, context, options);
    const { core } = this.#state;
    const output = wrapTensor(core.forward(...call, ...recordArguments(record)), this.dtype);
    if (core.training()) this.#backwardPass.save(null, this.#backwardPass.startForward());
    return output;
  }

  /**
   * Resolves with the result of forwardWithContext without blocking the calling thread. In WebAssembly the
   * result has the same bits; the call runs on a background thread if there are threads, else in slices
   * between which the event loop runs. On the GPU, which `device: 'webgpu'` or, if it is expected to be
   * faster, 'auto' chooses, the result is within 1e-4 of the largest element. If the GPU fails, WebAssembly
   * does the call. The call uses the parameters at the time at which it was made: later changes and dispose
   * do not affect it. The tensors may be disposed during the call, but must not be written to.
   */
  async forwardAsync(
    input: Tensor,
    context: Tensor | null,
    options?: AsyncAttentionOptions,
  ): Promise<Tensor> {
    return forwardAsync(this.#state, this.#backwardPass, input, context, options);
  }

  /**
   * Returns dL/d(input), of the input's shape, and adds to the parameters' gradients. Sets contextGradient.
   *
   * @param outputGradient dL/d(output) of the last training forward, of the output's shape
   * @throws ArgumentError without a training forward since the parameters last changed.
   */
  backward(outputGradient: Tensor): Tensor {
    return this.#backwardPass.inWasm(outputGradient);
  }

  /**
   * Resolves with the result of backward. Runs on the GPU if the forward did (forwardAsync while `training`).
   * The parameters' gradients and contextGradient are in WASM memory afterwards. Await it before
   * clearGradients, updateParameters or AdamOptimizer.step, which drop gradients that arrive later.
   */
  async backwardAsync(outputGradient: Tensor, options?: DeviceOptions): Promise<Tensor> {
    return this.#backwardPass.onAnyDevice(outputGradient, options);
  }

  /**
   * Returns the device of the last forwardAsync or backwardAsync and why it was chosen, with the estimated
   * times.
   */
  explain(): string {
    this.#state.requireAlive();
    return (
      accelerator()?.explain(this.#state.accelerated) ??
      (this.dtype === 'float64'
        ? 'wasm: float64 runs in WebAssembly only'
        : `wasm: webgpu: ${getRuntimeInfo().webgpu}`)
    );
  }

  /**
   * dL/d(context) of the last backward, of the context's shape. It belongs to the layer and is valid until
   * its next backward, resetState or dispose. Null for self-attention and before the first backward.
   */
  get contextGradient(): Tensor | null {
    this.#state.requireAlive();
    return this.#backwardPass.contextGradient;
  }

  /** Returns a copy of all parameters as one array, in the order of getParameterNames(). */
  getParameters(): TypedArray {
    return this.#state.core.parametersView().slice();
  }

  /**
   * Sets all parameters from one array, in the order of getParameterNames(). Throws ShapeError unless it has
   * parameterCount elements.
   */
  setParameters(parameters: NumbersLike): void {
    setParameters(this.#state, this.parameterCount, parameters);
  }

  /** Returns a copy of the accumulated gradients as one array, in the order of getParameterNames(). */
  getParameterGradients(): TypedArray {
    const gradients = this.#state.core.gradientsView();
    const copy = new (this.dtype === 'float32' ? Float32Array : Float64Array)(this.parameterCount);
    copy.set(gradients);
    return copy;
  }

  /** Sets the parameters' gradients to zero. */
  clearGradients(): void {
    this.#state.core.clearGradients();
    this.#state.gradientsVersion++;
  }

  /**
   * Takes a step of plain gradient descent, p ← p − learningRate·dp, of all parameters or of those that
   * `only` names, and clears all gradients. See AdamOptimizer for another rule.
   */
  updateParameters(learningRate: number, options?: { only?: readonly string[] }): void {
    updateParameters(this.#state, learningRate, options);
  }

  /** Names of the parameters whose gradients backward computes. Default: all. */
  get trainableParameters(): string[] {
    const all = this.getParameterNames();
    return this.#state.trainable?.slice() ?? all;
  }

  /**
   * Freezes all other parameters: a backward pass does not compute their gradients, which stay as they are,
   * and takes less time in WebAssembly. Throws ArgumentError for unknown names.
   */
  setTrainableParameters(names: readonly string[]): void {
    setTrainableParameters(this.#state, names);
  }

  /** Clears saved activations, contextGradient and cached contexts. The parameters stay. */
  resetState(): void {
    this.#state.core.resetState();
    this.#backwardPass.reset();
  }

  /**
   * Returns the names that diffusers uses, those that the layer has, in this order: to_q.weight, to_q.bias,
   * to_k.weight, to_k.bias, to_v.weight, to_v.bias, norm_q.weight, norm_q.bias, norm_k.weight, norm_k.bias,
   * to_out.0.weight, to_out.0.bias.
   */
  getParameterNames(): string[] {
    return this.#state.core.parameterNames();
  }

  get namedParameterCount(): number {
    return this.getParameterNames().length;
  }

  /**
   * Returns [outFeatures, inFeatures] for a weight, [outFeatures] for a bias; undefined for an unknown name.
   */
  getParameterShape(name: string): number[] | undefined {
    return this.#state.core.parameterShape(checkString('name', name));
  }

  /** Returns a copy of a parameter; undefined for an unknown name. */
  getParameter(name: string): Tensor | undefined {
    return getParameter(this.#state, name);
  }

  /**
   * Copies `value` to a parameter and returns true. Returns false for an unknown name. Throws ShapeError if
   * `value` has another shape.
   */
  setParameter(name: string, value: Tensor): boolean {
    return setParameter(this.#state, name, value);
  }

  /**
   * Compares names of weights with those of the parameters, and shapes if a Map or object of Tensors is
   * given. Loads nothing.
   */
  validateWeights(weights: Iterable<string> | NamedTensors, mapping?: WeightMapping): WeightLoadValidation {
    this.#state.requireAlive();
    return validateAgainst(this.#state, weights, mapping);
  }

  /**
   * Loads a safetensors file (F64, F32, F16, BF16, F8_E4M3 or F8_E5M2 tensors; a weight_scale or scale_weight
   * of the latter two is applied) or named tensors. Throws WeightsError if they do not match; then no
   * parameter has changed. A matrix may be stored as a 1×1 convolution, [out, in, 1, 1].
   *
   * @example
   * layer.loadWeights(file, { prefix: 'down_blocks.0.attentions.0.transformer_blocks.0.attn2.' });
   */
  loadWeights(weights: WeightBytes, options?: LoadWeightsOptions): WeightLoadResult {
    this.#state.requireAlive();
    return loadInto(this.#state, weights, options);
  }

  /**
   * Resolves with the result of loadWeights for an open file, of which it reads only the layer's weights.
   *
   * @example
   * const file = await WeightFile.open('https://example.com/model.safetensors');
   * await layer.loadWeightsFrom(file, { prefix: 'mid_block.attentions.0.transformer_blocks.0.attn2.' });
   */
  async loadWeightsFrom(file: WeightFile, options?: LoadWeightsOptions): Promise<WeightLoadResult> {
    this.#state.requireAlive();
    return loadFromFile(this.#state, file, options);
  }

  /**
   * Returns the parameters as a safetensors file that diffusers reads. `prefix` precedes their names, default
   * ''. `dtype` defaults to that of the layer.
   */
  saveWeights(options?: { prefix?: string; dtype?: 'F32' | 'F16' | 'BF16' | 'F64' }): Uint8Array {
    return saveFrom(this.#state, options);
  }

  /**
   * Returns softmax probabilities: [B, L, H, W] for an image, [B, L, N] for tokens (B = 1 for [N, C]),
   * averaged over the heads; [B, heads, L, …] for `heads: 'all'`. Arguments as for forwardWithContext.
   */
  attentionMaps(
    input: Tensor,
    context: Tensor | null,
    options?: AttentionOptions & { heads?: 'mean' | 'all' },
  ): Tensor {
    const { heads = 'mean' } = readOptions('options', options, ['heads']);
    const call = coreCall(this.dtype, input, context, options);
    checkOneOf('heads', heads, ['mean', 'all']);
    const { core } = this.#state;
    return wrapTensor(core.attentionMaps(...call, heads === 'all'), this.dtype);
  }

  /**
   * Exports the layer as a graph of ONNX operators on tokens [batch, tokens, queryDim] and a context [batch,
   * contextLength, contextDim]. Appends the input nodes (input, context, and mask if requested) to
   * `inputNodes` and returns the output node. Constants refer to the layer's parameters and are no copies.
   *
   * @example
   * const inputs = [];
   * const output = layer.exportComputationGraph(inputs);
   * const compiled = await compile(output, inputs, { inputShapes: [[2, 320, 64, 64], [2, 77, 768]] });
   */
  exportComputationGraph(inputNodes: ComputationNode[], options?: GraphOptions): ComputationNode {
    return exportComputationGraph(this.#state, inputNodes, options);
  }

  /**
   * Returns, as strings for people, the layer's sizes, its device and why, and memory and work of the last
   * forward and backward.
   */
  getDiagnostics(): Record<string, string> {
    const { threadsReason, device, webgpu, version } = getRuntimeInfo();
    const gpu = accelerator();
    return {
      ...this.#state.core.diagnostics(),
      threadsReason,
      device,
      deviceReason: `webgpu: ${webgpu}`,
      ...(gpu && { webgpuState: gpu.state, lastCall: this.explain() }),
      version,
      memoryInUse: String(getCore().memoryInUse()),
    };
  }

  /** Frees the memory. A second call has no effect. Calls in progress complete with their results. */
  dispose(): void {
    this.#backwardPass.reset();
    accelerator()?.release(this.#state.accelerated);
    this.#state.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
