// The public API of the package `diffusion-cross-attention`.
// Names, signatures and the stated behaviour are fixed. The package may extend them but must not weaken them.
// Behaviour that is not specified here should be what users of PyTorch, diffusers or ONNX Runtime Web expect.

// ---------------------------------------------------------------------------------------------- runtime
export type DType = 'float32' | 'float64';
export type TypedArray = Float32Array | Float64Array;

export interface InitOptions {
  /** Worker threads of the WASM core. 'auto': one per core if SharedArrayBuffer is available, otherwise 1. */
  threads?: number | 'auto';
  /** 'relaxed': fused multiply-add (relaxed SIMD). 'baseline': fixed-width SIMD. 'auto': detected. */
  simd?: 'auto' | 'relaxed' | 'baseline';
  /**
   * 'auto': WebGPU if there is an adapter and it is measured to be faster. A missing adapter is not an error.
   */
  device?: 'auto' | 'wasm' | 'webgpu';
  /** The URL of the folder of the .wasm files. Default: the folder of the module. */
  wasmBaseUrl?: string | URL;
}
export interface RuntimeInfo {
  readonly simd: 'relaxed' | 'baseline';
  readonly threads: number;
  readonly device: 'wasm' | 'webgpu';
  /** The description of the adapter, or the reason why there is none. */
  readonly webgpu: string;
  readonly version: string;
}
/**
 * Loads the WASM variant for this machine. Idempotent. The classes below throw NotInitializedError if it was
 * not called before.
 */
export function init(options?: InitOptions): Promise<RuntimeInfo>;
/**
 * Returns the bytes of WASM memory in live tensors, layers and caches. It is 0 after all objects were
 * disposed.
 */
export function memoryInUse(): number;

/**
 * Base class of all errors. `code` is stable. `message` names the argument, its value and the allowed values.
 */
export class CrossAttentionError extends Error {
  readonly code: string;
}
/** Code 'ERR_SHAPE': a wrong rank, size or length, or a negative dimension. */
export class ShapeError extends CrossAttentionError {}
/**
 * Code 'ERR_ARGUMENT': NaN, a non-integer, a wrong type or dtype, invalid constructor arguments, or a call in
 * the wrong order.
 */
export class ArgumentError extends CrossAttentionError {}
/** Code 'ERR_DISPOSED'. */
export class DisposedError extends CrossAttentionError {}
/** Code 'ERR_NOT_INITIALIZED'. */
export class NotInitializedError extends CrossAttentionError {}
/** Code 'ERR_WEIGHTS': a corrupt or mismatching weight file. */
export class WeightsError extends CrossAttentionError {}
/** Code 'ERR_OUT_OF_MEMORY'. The layer stays usable. */
export class OutOfMemoryError extends CrossAttentionError {}

// ----------------------------------------------------------------------------------------------- tensor
/**
 * A dense row-major tensor in WASM memory. Free it with dispose() or `using`. A FinalizationRegistry frees
 * tensors that were not disposed.
 */
export class Tensor {
  /** Copies the data. The default dtype is that of a typed array, otherwise float32. */
  static from(data: ArrayLike<number>, shape: readonly number[], dtype?: DType): Tensor;
  static zeros(shape: readonly number[], dtype?: DType): Tensor;
  static full(shape: readonly number[], value: number, dtype?: DType): Tensor;
  static randn(
    shape: readonly number[],
    options?: { seed?: number; mean?: number; std?: number; dtype?: DType },
  ): Tensor;
  readonly shape: readonly number[];
  readonly rank: number;
  readonly size: number;
  readonly dtype: DType;
  readonly disposed: boolean;
  /** Returns a copy outside WASM memory. */
  data(): TypedArray;
  /** Returns a zero-copy view of WASM memory, valid until the next call into this package. */
  view(): TypedArray;
  reshape(shape: readonly number[]): Tensor; // one dimension may be -1
  clone(): Tensor;
  dispose(): void; // repeated calls have no effect
  [Symbol.dispose](): void;
}

// ------------------------------------------------------------------------------------------------ layer
export interface LayerOptions {
  dtype?: DType; // float32
  seed?: number; // Xavier-uniform weights, zero bias; a seed gives the same weights on all platforms
  scale?: number; // softmax scale; default 1/sqrt(headDim)
  blockSizeQ?: number; // flash-attention tiles; 0: chosen by the planner
  blockSizeKV?: number;
  headDim?: number; // default queryDim / numHeads
  outputDim?: number; // default queryDim
  bias?: boolean; // of queries, keys and values; default false
  outputBias?: boolean; // default true
  queryKeyNorm?: 'none' | 'layer_norm' | 'rms_norm';
  normEpsilon?: number; // default 1e-5
}
export interface AttentionOptions {
  /**
   * Key mask [B, L] (1 = attend, 0 = ignore), or additive float mask [B | 1, heads | 1, N | 1, L]. The
   * attention output of a fully ignored row is zero.
   */
  mask?: Tensor | null;
  /**
   * Query i attends to keys j <= i + L - N only. No matrix of it exists, and tiles above the diagonal cost
   * nothing.
   */
  causal?: boolean;
  /** Adds this call's attention to a recorder under a name. The output is not computed twice. */
  record?: { recorder: AttentionRecorder; name?: string; rows?: 'all' | 'conditional' };
}
/**
 * Sums a group's probabilities over heads, keys, recorded rows and calls, for each name at the layer's own
 * H × W. For tokens, N must be a square. rows: 'conditional' is the second half of the batch. forwardAsync
 * resolves after its sums have arrived.
 */
export class AttentionRecorder {
  constructor(options: { size: number; groups: Readonly<Record<string, readonly number[]>> }); // key indices
  readonly calls: number;
  /**
   * Resizes each name's sum to size × size (bicubic, align_corners false), clamps at 0, divides by heads ·
   * rows · calls, and averages over the names. normalize: divided by its maximum.
   */
  heatMap(group: string, options?: { normalize?: boolean; names?: readonly string[] }): Float32Array;
  overlay(group: string, width: number, height: number): Uint8ClampedArray; // RGBA
  reset(): void;
  dispose(): void;
}
/**
 * q = x·Wqᵀ, k = c·Wkᵀ, v = c·Wvᵀ, out = concat(softmax(scale·q·kᵀ + mask)·v over heads)·Woᵀ + bo. No
 * residual, no norm.
 */
export class DiffusionCrossAttention {
  constructor(
    queryDim: number,
    contextDim: number,
    numHeads?: number,
    spatialSize?: number,
    options?: LayerOptions,
  ); // 8, 64
  readonly queryDim: number;
  readonly contextDim: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly spatialSize: number;
  readonly dtype: DType;
  readonly parameterCount: number;
  readonly supportsTraining: boolean; // true
  readonly supportsJitCompilation: boolean; // true
  /**
   * If true, forward saves what backward needs: inputs and log-sum-exp, but not the probability matrix.
   * Default: false.
   */
  training: boolean;

  /** Self-attention: the context is the tokens of the input. Throws ShapeError if contextDim ≠ queryDim. */
  forward(input: Tensor): Tensor;
  /**
   * input: [B,C,H,W] | [B,N,C] | [N,C]. context: [B | 1, L, contextDim] | [L, contextDim] | null. Returns a
   * tensor of the input's shape.
   */
  forwardWithContext(input: Tensor, context: Tensor | null, options?: AttentionOptions): Tensor;
  /**
   * Like forwardWithContext, without blocking the calling thread, on the device selected by the scheduler.
   */
  forwardAsync(input: Tensor, context: Tensor | null, options?: AttentionOptions): Promise<Tensor>;

  /**
   * Returns dL/d(input), of the input's shape, and adds to the parameter gradients. Throws ArgumentError
   * without a preceding training forward.
   */
  backward(outputGradient: Tensor): Tensor;
  /**
   * dL/d(context) of the last backward; null for self-attention. The layer owns it. It is valid until the
   * next backward, resetState or dispose.
   */
  readonly contextGradient: Tensor | null;
  /** All parameters in one array, in the order of getParameterNames(). */
  getParameters(): TypedArray;
  setParameters(parameters: ArrayLike<number>): void;
  getParameterGradients(): TypedArray;
  clearGradients(): void;
  /** Plain gradient descent: p ← p − learningRate·dp. Then clears the gradients. */
  updateParameters(learningRate: number, options?: { only?: readonly string[] }): void;
  /** Clears saved activations, contextGradient and cached contexts. Keeps the parameters. */
  resetState(): void;

  /**
   * to_q.weight, to_k.weight, to_v.weight, to_out.0.weight, to_out.0.bias. Weights are [outFeatures,
   * inFeatures].
   */
  getParameterNames(): string[];
  readonly namedParameterCount: number;
  getParameterShape(name: string): number[] | undefined;
  getParameter(name: string): Tensor | undefined; // a copy
  setParameter(name: string, value: Tensor): boolean; // false: unknown name; ShapeError: wrong shape
  validateWeights(names: Iterable<string>, mapping?: (name: string) => string | null): WeightLoadValidation;
  /**
   * Loads a safetensors file (F64, F32, F16, BF16 tensors) or named tensors. If it throws, the parameters
   * are unchanged.
   */
  loadWeights(
    weights: WeightBytes,
    options?: { prefix?: string; mapping?: (name: string) => string | null; strict?: boolean },
  ): WeightLoadResult;
  /** Returns the parameters as a safetensors file that diffusers can read. */
  saveWeights(options?: { prefix?: string; dtype?: 'F32' | 'F16' | 'BF16' | 'F64' }): Uint8Array;

  /**
   * Loads a LoRA: W' = W + Σ scale · (alpha / rank) · up·down. Accepts the names of PEFT, diffusers (old and
   * new) and kohya, and LDM's block names. Without alpha, alpha is the rank. Tensors of other modules are
   * reported in `ignored`. Throws WeightsError for unknown kinds (LoHa, …), ArgumentError for a name that is
   * loaded.
   */
  loadLora(name: string, weights: WeightBytes, options?: { prefix?: string; scale?: number }): LoraLoadResult;
  loadLoraFrom(
    name: string,
    file: WeightFile,
    options?: { prefix?: string; scale?: number },
  ): Promise<LoraLoadResult>;
  /**
   * 0 and removeLora restore the bits of before. Parameters, gradients and files are of the layer's own
   * weights without LoRAs, which stay loaded; only mergeLoras changes those.
   */
  setLoraScales(scales: Readonly<Record<string, number>>): void;
  removeLora(name: string): void;
  mergeLoras(): void;
  readonly loras: readonly string[];

  /**
   * Returns the softmax probabilities: [B, L, H, W] (or [B, L, N]) averaged over the heads, or [B, heads,
   * L, …] for 'all'.
   */
  attentionMaps(
    input: Tensor,
    context: Tensor | null,
    options?: AttentionOptions & { heads?: 'mean' | 'all' },
  ): Tensor;

  /** Appends the input nodes (input, then context) to inputNodes and returns the output node. */
  exportComputationGraph(inputNodes: ComputationNode[]): ComputationNode;
  getDiagnostics(): Record<string, string>;
  dispose(): void;
  [Symbol.dispose](): void;
}
/**
 * Adam with decoupled weight decay over a layer's parameters (float32 or float64 layers). Its state is in
 * WASM memory. Defaults: 1e-3, [0.9, 0.999], 1e-8, 0, all parameters.
 */
export class AdamOptimizer {
  constructor(
    layer: DiffusionCrossAttention,
    options?: {
      learningRate?: number;
      betas?: readonly [number, number];
      epsilon?: number;
      weightDecay?: number;
      only?: readonly string[];
    },
  );
  step(options?: { learningRate?: number }): void; // uses the layer's gradients, then clears them
  saveState(): Uint8Array; // a safetensors file
  loadState(bytes: ArrayBuffer | ArrayBufferView): void;
  dispose(): void;
}
export interface WeightLoadValidation {
  matched: string[];
  unmatchedWeights: string[];
  missingParameters: string[];
  shapeMismatches: { name: string; expected: number[]; actual: number[] }[];
  readonly isComplete: boolean;
  readonly isValid: boolean;
}
export interface LoraLoadResult {
  updated: string[];
  ignored: string[];
  rank: Record<string, number>;
}
export interface WeightLoadResult {
  success: boolean;
  loadedCount: number;
  skippedCount: number;
  failedCount: number;
  loadedParameters: string[];
  failedParameters: { name: string; error: string }[];
  errorMessage?: string;
}

// ------------------------------------------------------------------------------------------ graph and JIT
/**
 * A node of the layer's computation graph. Sizes that are only known at run time are names: 'batch',
 * 'tokens', 'contextLength'.
 */
export class ComputationNode {
  readonly op: string; // ONNX operator names: 'MatMul', 'Softmax', 'Transpose', …; 'Input', 'Constant'
  readonly name: string;
  readonly inputs: readonly ComputationNode[];
  readonly shape: readonly (number | string)[];
  readonly attributes: Readonly<Record<string, unknown>>;
}
export interface CompileOptions {
  /** One shape per input node, with fixed sizes. */
  inputShapes: readonly (readonly number[])[];
  /**
   * Inputs that are constant over many runs, such as the context of a prompt over all denoising steps. They
   * are folded into the plan.
   */
  constants?: Map<ComputationNode, Tensor>;
  device?: 'wasm' | 'webgpu';
}
/**
 * Optimises the graph for these shapes: constant folding, cheapest association by cost, fusion, memory plan.
 */
export function compile(
  output: ComputationNode,
  inputs: readonly ComputationNode[],
  options: CompileOptions,
): Promise<CompiledGraph>;
export class CompiledGraph {
  run(...inputs: Tensor[]): Tensor; // the inputs that are not constant, in order
  runAsync(...inputs: Tensor[]): Promise<Tensor>;
  /**
   * Returns a readable description: each step with its kernel, FLOPs and bytes, and the cost of the
   * unoptimised graph.
   */
  describe(): string;
  readonly flops: number;
  readonly scratchBytes: number;
  dispose(): void;
  [Symbol.dispose](): void;
}
/** Returns the graph as an ONNX model file with standard operators only, for any ONNX engine. */
export function toOnnx(
  output: ComputationNode,
  inputs: readonly ComputationNode[],
  options?: { opset?: number },
): Uint8Array;

/** An array is the shards of one file. */
export type WeightBytes =
  | ArrayBuffer
  | SharedArrayBuffer
  | ArrayBufferView
  | readonly (ArrayBuffer | ArrayBufferView)[]
  | Map<string, Tensor>
  | Record<string, Tensor>;
/** Code 'ERR_ABORTED'. `cause` is the reason of the signal. */
export class AbortedError extends CrossAttentionError {}
/** A safetensors file, or the shards of one, of which only the header has been read. */
export class WeightFile {
  static open(
    source:
      | string
      | URL
      | Blob
      | ArrayBuffer
      | ArrayBufferView
      | readonly (Blob | ArrayBuffer | ArrayBufferView | string | URL)[],
    options?: { signal?: AbortSignal; fetch?: typeof fetch },
  ): Promise<WeightFile>;
  readonly names: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  shapeOf(name: string): readonly number[] | undefined;
  storedTypeOf(name: string): string | undefined;
  /** F64 as float64, all other numbers as float32. */
  read(name: string): Promise<Tensor>;
  close(): void;
}
