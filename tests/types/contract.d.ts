// The public API that users program against: package `diffusion-cross-attention`.
// Names, signatures and the stated behaviour here are fixed. Everything may be extended; nothing here may be
// weakened. Where this file is silent, do what a user of PyTorch, diffusers or ONNX Runtime Web would expect.

// ---------------------------------------------------------------------------------------------- runtime
export type DType = 'float32' | 'float64';
export type TypedArray = Float32Array | Float64Array;

export interface InitOptions {
  /** Worker threads for the WASM core. 'auto': the cores, where SharedArrayBuffer can be had; else 1. */
  threads?: number | 'auto';
  /** 'relaxed': fused multiply-add (relaxed SIMD); 'baseline': fixed-width SIMD. 'auto' detects. */
  simd?: 'auto' | 'relaxed' | 'baseline';
  /** 'auto' takes WebGPU where an adapter answers and measurement says that it wins; never an error if absent. */
  device?: 'auto' | 'wasm' | 'webgpu';
  /** Where the .wasm files are served from, if not beside the module. */
  wasmBaseUrl?: string | URL;
}
export interface RuntimeInfo {
  readonly simd: 'relaxed' | 'baseline';
  readonly threads: number;
  readonly device: 'wasm' | 'webgpu';
  /** The adapter's description, or why there is none. */
  readonly webgpu: string;
  readonly version: string;
}
/** Loads the WASM variant that fits this machine. Idempotent; every class below needs it first (else NotInitializedError). */
export function init(options?: InitOptions): Promise<RuntimeInfo>;
/** Bytes of WASM memory in live tensors, layers and caches: 0 after everything was disposed of. */
export function memoryInUse(): number;

/** All errors of this package; `code` is stable, `message` names the argument, what it got and what it takes. */
export class CrossAttentionError extends Error {
  readonly code: string;
}
export class ShapeError extends CrossAttentionError {} // code 'ERR_SHAPE': a wrong rank, size or length, a negative dimension
export class ArgumentError extends CrossAttentionError {} // code 'ERR_ARGUMENT': NaN, not an integer, wrong type or dtype, constructor arguments that cannot be, a call out of order
export class DisposedError extends CrossAttentionError {} // code 'ERR_DISPOSED'
export class NotInitializedError extends CrossAttentionError {} // code 'ERR_NOT_INITIALIZED'
export class WeightsError extends CrossAttentionError {} // code 'ERR_WEIGHTS' (corrupt or mismatching weight file)
export class OutOfMemoryError extends CrossAttentionError {} // code 'ERR_OUT_OF_MEMORY'; the layer stays usable

// ----------------------------------------------------------------------------------------------- tensor
/** A dense row-major tensor in WASM memory. Dispose it (or `using`); a FinalizationRegistry catches the forgotten. */
export class Tensor {
  static from(data: ArrayLike<number>, shape: readonly number[], dtype?: DType): Tensor; // copies; dtype from a typed array, else float32
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
  /** A copy, independent of WASM memory. */
  data(): TypedArray;
  /** Zero-copy view into WASM memory; good until the next call into this package. */
  view(): TypedArray;
  reshape(shape: readonly number[]): Tensor; // one dimension may be -1
  clone(): Tensor;
  dispose(): void; // twice is harmless
  [Symbol.dispose](): void;
}

// ------------------------------------------------------------------------------------------------ layer
export interface LayerOptions {
  dtype?: DType; // float32
  seed?: number; // Xavier-uniform initial weights, zero bias; the same seed gives the same weights anywhere
  scale?: number; // softmax scale; default 1/sqrt(headDim)
  blockSizeQ?: number; // flash-attention tiles; 0 = chosen by the planner
  blockSizeKV?: number;
}
export interface AttentionOptions {
  /** Key mask [B, L] (1 = attend, 0 = ignore; a fully ignored row gives a zero attention output), or an additive float mask [B | 1, heads | 1, N | 1, L]. */
  mask?: Tensor | null;
}
/** q = x·Wqᵀ, k = c·Wkᵀ, v = c·Wvᵀ, out = softmax(scale·q·kᵀ + mask)·v per head, joined, ·Woᵀ + bo. No residual, no norm. */
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
  /** While true, a forward keeps what backward needs (inputs and log-sum-exp, never the probability matrix). Default false. */
  training: boolean;

  /** Self-attention fallback (context = the input's own tokens); ShapeError where contextDim ≠ queryDim. */
  forward(input: Tensor): Tensor;
  /** input [B,C,H,W] | [B,N,C] | [N,C]; context [B | 1, L, contextDim] | [L, contextDim] | null. Output: the input's shape. */
  forwardWithContext(input: Tensor, context: Tensor | null, options?: AttentionOptions): Tensor;
  /** The same result without blocking the calling thread, on the device that the scheduler picks. */
  forwardAsync(input: Tensor, context: Tensor | null, options?: AttentionOptions): Promise<Tensor>;

  /** dL/d(input), of the input's shape; adds to the parameter gradients. ArgumentError without a training forward before it. */
  backward(outputGradient: Tensor): Tensor;
  /** dL/d(context) of the last backward, owned by the layer and good until its next backward, resetState or dispose; null for the self-attention fallback. */
  readonly contextGradient: Tensor | null;
  /** Flat, in the order of getParameterNames(). */
  getParameters(): TypedArray;
  setParameters(parameters: ArrayLike<number>): void;
  getParameterGradients(): TypedArray;
  clearGradients(): void;
  /** Plain gradient descent: p ← p − learningRate·dp, then the gradients are cleared. */
  updateParameters(learningRate: number): void;
  /** Forgets cached activations, the contextGradient and caches of contexts; parameters stay. */
  resetState(): void;

  /** to_q.weight, to_k.weight, to_v.weight, to_out.0.weight, to_out.0.bias; weights as [outFeatures, inFeatures]. */
  getParameterNames(): string[];
  readonly namedParameterCount: number;
  getParameterShape(name: string): number[] | undefined;
  getParameter(name: string): Tensor | undefined; // a copy
  setParameter(name: string, value: Tensor): boolean; // false: no such name; ShapeError: wrong shape
  validateWeights(names: Iterable<string>, mapping?: (name: string) => string | null): WeightLoadValidation;
  /** From a safetensors file (F64, F32, F16, BF16 tensors) or named tensors. All or nothing: on an error the parameters stay. */
  loadWeights(
    weights: ArrayBuffer | Uint8Array | Map<string, Tensor> | Record<string, Tensor>,
    options?: { prefix?: string; mapping?: (name: string) => string | null; strict?: boolean },
  ): WeightLoadResult;
  /** The parameters as a safetensors file that diffusers can read. */
  saveWeights(options?: { prefix?: string; dtype?: 'F32' | 'F16' | 'BF16' | 'F64' }): Uint8Array;

  /** Softmax probabilities, [B, L, H, W] (or [B, L, N]) averaged over the heads, or [B, heads, L, …] for 'all'. */
  attentionMaps(
    input: Tensor,
    context: Tensor | null,
    options?: AttentionOptions & { heads?: 'mean' | 'all' },
  ): Tensor;

  /** Pushes the input nodes (input, then context) onto inputNodes and returns the output node. */
  exportComputationGraph(inputNodes: ComputationNode[]): ComputationNode;
  getDiagnostics(): Record<string, string>;
  dispose(): void;
  [Symbol.dispose](): void;
}
export interface WeightLoadValidation {
  matched: string[];
  unmatchedWeights: string[];
  missingParameters: string[];
  shapeMismatches: { name: string; expected: number[]; actual: number[] }[];
  readonly isComplete: boolean;
  readonly isValid: boolean;
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
/** A node of the layer's computation graph. Sizes known only at run time are names: 'batch', 'tokens', 'contextLength'. */
export class ComputationNode {
  readonly op: string; // ONNX operator names: 'MatMul', 'Softmax', 'Transpose', …; 'Input', 'Constant'
  readonly name: string;
  readonly inputs: readonly ComputationNode[];
  readonly shape: readonly (number | string)[];
  readonly attributes: Readonly<Record<string, unknown>>;
}
export interface CompileOptions {
  /** One shape per input node, all sizes fixed. */
  inputShapes: readonly (readonly number[])[];
  /** Inputs that stay the same over many runs (a prompt's context over all denoising steps), folded into the plan. */
  constants?: Map<ComputationNode, Tensor>;
  device?: 'wasm' | 'webgpu';
}
/** Optimises the graph for these shapes (constant folding, cheapest association by cost, fusion, memory plan) and readies it to run. */
export function compile(
  output: ComputationNode,
  inputs: readonly ComputationNode[],
  options: CompileOptions,
): Promise<CompiledGraph>;
export class CompiledGraph {
  run(...inputs: Tensor[]): Tensor; // the inputs that are not constants, in order
  runAsync(...inputs: Tensor[]): Promise<Tensor>;
  /** What was compiled, for people: each step, its kernel, FLOPs and bytes; and what the graph would have cost unoptimised. */
  describe(): string;
  readonly flops: number;
  readonly scratchBytes: number;
  dispose(): void;
  [Symbol.dispose](): void;
}
/** The graph as an ONNX model file (standard operators only), to run on a server or any ONNX engine. */
export function toOnnx(
  output: ComputationNode,
  inputs: readonly ComputationNode[],
  options?: { opset?: number },
): Uint8Array;
