// The interface of WebGPU, types only: bindings/webgpu, which implements it, is loaded only if there may be a
// GPU.
import type { CoreLayer } from './core';
import type { UsersDevice } from './platform_types';
import type { GpuMemory, Location } from './resident';
import type { Tensor } from './tensor';

/** 'auto' is the device that is expected to be faster. If a device cannot do a call, WebAssembly does it. */
export type DeviceChoice = 'auto' | 'wasm' | 'webgpu';

/** Device and result location of an asynchronous call. */
export interface DeviceOptions {
  /** Default: the device that was given to `init`. */
  device?: DeviceChoice;
  /** Memory of the result. Default: the input's. */
  location?: Location;
}

/** Options of a forward. */
export interface ForwardOptions extends DeviceOptions {
  /** Why the call must run in WebAssembly, whatever its device; '' if it need not. */
  wasmReason?: string;
  /** How the call is recorded; null: not at all. */
  record?: AcceleratedRecord | null;
}

/** The recording of a forward on the GPU. One in WebAssembly records itself. */
export interface AcceleratedRecord {
  /** The keys of each group. */
  readonly groups: readonly (readonly number[])[];
  /** True for the second half of the batch only. */
  readonly conditional: boolean;
  /** Throws if the call cannot be recorded. The tensors' shapes fit the layer. */
  check(): void;
  /** Receives the sums over the heads, [recorded rows][groups][tokens]. */
  add(sums: Float32Array): void;
}

/** The constant sizes of a layer. */
export interface LayerSizes {
  readonly queryDim: number;
  readonly contextDim: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly outputDim: number;
  readonly scale: number;
  /** True if queries, keys and values have a bias. */
  readonly bias: boolean;
  readonly outputBias: boolean;
  readonly queryKeyNorm: 'none' | 'layer_norm' | 'rms_norm';
  /** Unused without a norm. */
  readonly normEpsilon: number;
}

/** The parameters of a layer at the time of a call. */
export interface Moment {
  /** True until the parameters change or the layer is disposed. */
  readonly isCurrent: boolean;
  /** Calls `work` with the layer, if this is current, else with a temporary layer with these parameters. */
  use<T>(work: (core: CoreLayer) => Promise<T>): Promise<T>;
  /** Calls `work` with a temporary layer with these parameters. */
  useCopy<T>(work: (core: CoreLayer) => Promise<T>): Promise<T>;
  release(): void;
}

/** A layer as the accelerator sees it. The parameters stay in WASM memory. */
export interface AcceleratedLayer extends LayerSizes {
  readonly training: boolean;
  /** False after the layer was disposed; its other members must not be used then. */
  readonly isAlive: boolean;
  /** Changes whenever the parameters change. */
  readonly parametersVersion: number;
  /**
   * Returns a view of all parameters in the order of their names, valid until the next call into the core.
   */
  parameters(): Float32Array;
  /** Returns the current parameters for a call that may need them later. The caller releases them. */
  hold(): Moment;
}

export interface CallTensors {
  input: Tensor;
  /** Null for self-attention. */
  context: Tensor | null;
  mask: Tensor | null;
}

/** A training forward that ran on the GPU. It owns its tensors. */
export interface SavedForward extends Readonly<CallTensors> {
  readonly parametersVersion: number;
  dispose(): void;
}

export interface AcceleratedForward {
  output: Tensor;
  /** Null if the forward ran in WebAssembly or not in training mode. */
  saved: SavedForward | null;
}

export interface AcceleratedBackward {
  inputGradient: Tensor;
  contextGradient: Tensor | null;
  /** In the order of the parameters; the caller adds them to the layer's gradients. */
  parameterGradients: readonly Float32Array[];
}

/** A compiled attention as the accelerator sees it. */
export interface AcceleratedGraph {
  readonly layer: AcceleratedLayer;
  /** Shapes of input, context and mask, constants included. */
  readonly shapes: {
    input: readonly number[];
    context: readonly number[] | null;
    mask: readonly number[] | null;
  };
  /** Inputs that stay the same over all runs. */
  readonly constants: { context: Tensor | null; mask: Tensor | null };
  readonly association: 'auto' | 'plain' | 'folded';
  /** FLOPs of a run in WebAssembly. */
  readonly flops: number;
}

/**
 * WebGPU in use. If a call fails on the GPU, WebAssembly does it, and `explain` returns the reason. All calls
 * compute with the parameters and options at their start. A call that WebAssembly does from the beginning
 * calls `inWasm` before it returns, unless tensors must be read back first.
 */
export interface Accelerator extends GpuMemory {
  /** The faster device for a layer of Stable Diffusion 1.5 at 64 × 64. */
  readonly preferred: Location;
  /** 'in use', or why the GPU is not used now. */
  readonly state: string;
  forward(
    layer: AcceleratedLayer,
    tensors: CallTensors,
    options: ForwardOptions,
    inWasm: (tensors: CallTensors) => Promise<Tensor>,
  ): Promise<AcceleratedForward>;
  /** Computes in WebAssembly, with the parameters of `saved`, if the GPU fails or is not chosen. */
  backward(
    layer: AcceleratedLayer,
    saved: SavedForward,
    outputGradient: Tensor,
    options: DeviceOptions,
  ): Promise<AcceleratedBackward>;
  run(
    graph: AcceleratedGraph,
    tensors: CallTensors,
    options: DeviceOptions,
    inWasm: (tensors: CallTensors) => Promise<Tensor>,
  ): Promise<Tensor>;
  /** Describes the last choice of a device for a layer or graph; null before the first. */
  explain(owner: object): string | null;
  /** Frees the GPU memory of a layer or graph. */
  release(owner: object): void;
}

export interface AcceleratorOptions {
  choice: DeviceChoice;
  precision: 'float32' | 'float16';
  /** The user's device; undefined to request one. */
  gpuDevice: UsersDevice | undefined;
  /** Identifies the WASM core, with which stored measurements were made. */
  core: string;
}

/** `accelerator` is null if WebGPU is not used; `description` is the adapter's, or the reason. */
export interface StartedAccelerator {
  accelerator: Accelerator | null;
  description: string;
}

/** The export of bindings/webgpu. Never throws: without a working WebGPU, all calls run in WebAssembly. */
export type StartAccelerator = (options: AcceleratorOptions) => Promise<StartedAccelerator>;
