// What the package knows of WebGPU: an interface, for bindings/webgpu is loaded only where there may be a graphics card.
import type { CoreHandle, TypedArray } from './core';
import type { UsersBuffer, UsersDevice } from './gpu_types';
import type { Tensor } from './tensor';

/** Where a tensor's elements are. */
export type Location = 'wasm' | 'webgpu';

/** 'auto': the one that is expected to be faster. A device that can't do a call leaves it to WebAssembly. */
export type DeviceChoice = 'auto' | 'wasm' | 'webgpu';

/** How a call that may be done on another device shall be done. */
export interface DeviceOptions {
  /** Default: what init was given. */
  device?: DeviceChoice;
  /** Where the result shall be; default: where the input is. */
  location?: Location;
}

/** A tensor's elements in GPU memory. */
export interface ResidentTensor extends CoreHandle {
  readonly buffer: UsersBuffer;
  shape(): number[];
  /** The same elements, shared. */
  reshaped(shape: readonly number[]): ResidentTensor;
  clone(): ResidentTensor;
  read(): Promise<TypedArray>;
}

/** Buffers and bytes of GPU memory in live tensors, layers and caches. */
export interface GpuMemoryInUse {
  buffers: number;
  bytes: number;
}

/** A layer as the accelerator sees it: the parameters are in WASM memory, and stay there. */
export interface AcceleratedLayer {
  readonly queryDim: number;
  readonly contextDim: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly scale: number;
  readonly training: boolean;
  /** False once it was disposed of: nothing else may be asked of it then. */
  readonly isAlive: boolean;
  /** Another number once the parameters have changed. */
  readonly parametersVersion: number;
  /** In the order of their names; good until the next call into the core. */
  parameters(): Float32Array;
}

export interface CallTensors {
  input: Tensor;
  /** Null for self-attention. */
  context: Tensor | null;
  mask: Tensor | null;
}

/** A training forward that was done on the graphics card. Its tensors are its own. */
export interface SavedForward extends CallTensors {
  readonly parametersVersion: number;
  dispose(): void;
}

export interface AcceleratedForward {
  output: Tensor;
  /** Null where it was done in WebAssembly, or not in training. */
  saved: SavedForward | null;
}

export interface AcceleratedBackward {
  inputGradient: Tensor;
  contextGradient: Tensor | null;
  /** In the order of the parameters, to be added to what is there. */
  parameterGradients: readonly Float32Array[];
}

/** A compiled attention as the accelerator sees it. */
export interface AcceleratedGraph {
  readonly layer: AcceleratedLayer;
  /** Of an input, context and mask; constants among them stay the same. */
  readonly shapes: {
    input: readonly number[];
    context: readonly number[] | null;
    mask: readonly number[] | null;
  };
  readonly constants: { context: Tensor | null; mask: Tensor | null };
  readonly association: 'auto' | 'plain' | 'folded';
  /** FLOPs of a run in WebAssembly. */
  readonly flops: number;
}

/** WebGPU at work. Whatever goes wrong with it, calls are done by `inWasm`, and the reason can be asked for. */
export interface Accelerator {
  /** Whether there is a device now. */
  readonly isThere: boolean;
  /** The device of a call like a layer of Stable Diffusion 1.5 at 64 × 64. */
  readonly preferred: Location;
  /** What it does now, or why it does nothing. */
  readonly state: string;
  memoryInUse(): GpuMemoryInUse;
  /** Resolves once all that was submitted is done. */
  synchronize(): Promise<void>;
  /** A copy in GPU memory. Throws where the device is not there. */
  upload(tensor: Tensor): Promise<ResidentTensor>;
  /** The user's own buffer as a tensor: it is not destroyed with it. */
  wrapBuffer(buffer: UsersBuffer, shape: readonly number[]): ResidentTensor;
  forward(
    layer: AcceleratedLayer,
    tensors: CallTensors,
    options: DeviceOptions,
    inWasm: (tensors: CallTensors) => Promise<Tensor>,
  ): Promise<AcceleratedForward>;
  /** Null where the graphics card could not do it, or WebAssembly is the better one: then it is to be done there. */
  backward(
    layer: AcceleratedLayer,
    saved: SavedForward,
    outputGradient: Tensor,
    options: DeviceOptions,
  ): Promise<AcceleratedBackward | null>;
  run(
    graph: AcceleratedGraph,
    tensors: CallTensors,
    options: DeviceOptions,
    inWasm: (tensors: CallTensors) => Promise<Tensor>,
  ): Promise<Tensor>;
  /** The last decision about a layer or graph, for people; null before any. */
  explain(owner: object): string | null;
  /** Frees what a layer or graph has on the card. */
  release(owner: object): void;
}

export interface AcceleratorOptions {
  choice: DeviceChoice;
  precision: 'float32' | 'float16';
  /** The user's own device; else one is asked for. */
  gpuDevice: UsersDevice | undefined;
  /** What the WASM core is: measurements beside it are of no use to another one. */
  core: string;
}

/** The adapter's description and its accelerator, or why there is none. */
export interface StartedAccelerator {
  accelerator: Accelerator | null;
  description: string;
}

/** What bindings/webgpu exports. Never throws: a machine without WebGPU, or with a broken one, computes in WebAssembly. */
export type StartAccelerator = (options: AcceleratorOptions) => Promise<StartedAccelerator>;

let current: Accelerator | null = null;

/** Null where there is none: everything is done in WebAssembly. */
export const accelerator = (): Accelerator | null => current;

export function setAccelerator(given: Accelerator | null): void {
  current = given;
}
