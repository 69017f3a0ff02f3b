// The WebAssembly module as Embind shows it (bindings/embind).

export type DType = 'float32' | 'float64';
export type TypedArray = Float32Array | Float64Array;

/** Something in WASM memory, until `delete`. */
export interface CoreHandle {
  delete(): void;
}

export interface CoreTensor extends CoreHandle {
  shape(): number[];
  view(): TypedArray;
  reshaped(shape: readonly number[]): CoreTensor;
  clone(): CoreTensor;
}

export interface CoreTensorClass {
  uninitialized(shape: readonly number[]): CoreTensor;
  full(shape: readonly number[], value: number): CoreTensor;
  randomNormal(shape: readonly number[], seed: number, mean: number, deviation: number): CoreTensor;
}

export interface CorePendingForward extends CoreHandle {
  /** Works on another thread and calls `done` afterwards; false where there is none. */
  runBehind(done: () => void): boolean;
  /** Works for about so many milliseconds on this thread; true: all is done. */
  advance(milliseconds: number): boolean;
  result(): CoreTensor;
}

/** input, context, and the mask as one of two arguments by its dtype. */
type CallArguments = [
  input: CoreTensor,
  context: CoreTensor | null,
  mask32: CoreTensor | null,
  mask64: CoreTensor | null,
];

export interface CoreLayer extends CoreHandle {
  forward(...call: CallArguments): CoreTensor;
  startForward(...call: CallArguments): CorePendingForward;
  backward(outputGradient: CoreTensor): CoreTensor;
  contextGradient(): CoreTensor | null;
  attentionMaps(...callAndHeads: [...CallArguments, allHeads: boolean]): CoreTensor;
  training(): boolean;
  setTraining(training: boolean): void;
  parametersView(): TypedArray;
  gradientsView(): TypedArray;
  parameterView(name: string): TypedArray | undefined;
  parameterShape(name: string): number[] | undefined;
  setParameters(values: CoreTensor): void;
  setParameter(name: string, value: CoreTensor): boolean;
  clearGradients(): void;
  updateParameters(learningRate: number): void;
  resetState(): void;
  diagnostics(): Record<string, string>;
}

export interface CoreLayerClass {
  create(
    queryDim: number,
    contextDim: number,
    numHeads: number,
    spatialSize: number,
    seed: number,
    scale: number,
    blockSizeQ: number,
    blockSizeKV: number,
  ): CoreLayer;
}

export interface CoreBytes extends CoreHandle {
  view(): Uint8Array;
}

export interface CoreWeightFile extends CoreHandle {
  names(): string[];
}

export interface CoreCandidates extends CoreHandle {
  addFloat32(name: string, parameter: string | null, tensor: CoreTensor): void;
  addFloat64(name: string, parameter: string | null, tensor: CoreTensor): void;
  addStored(name: string, parameter: string | null, file: CoreWeightFile, index: number): void;
  load(layer: CoreLayer, strict: boolean): { loaded: string[]; skipped: string[] };
}

type Save = (layer: CoreLayer, prefix: string, dtype: string) => CoreBytes;

/** What of the module may throw. */
export const coreClasses = [
  'TensorFloat32',
  'TensorFloat64',
  'LayerFloat32',
  'LayerFloat64',
  'PendingForwardFloat32',
  'PendingForwardFloat64',
  'Bytes',
  'WeightFile',
  'CandidatesFloat32',
  'CandidatesFloat64',
] as const;
export const coreFunctions = ['setThreads', 'saveFloat32', 'saveFloat64'] as const;

export interface Core {
  /** The top of the WASM stack. */
  stackSave(): number;
  stackRestore(top: number): void;
  setThreads(threads: number): void;
  threads(): number;
  memoryInUse(): number;
  parameterNames(): string[];
  TensorFloat32: CoreTensorClass;
  TensorFloat64: CoreTensorClass;
  LayerFloat32: CoreLayerClass;
  LayerFloat64: CoreLayerClass;
  Bytes: { allocate(size: number): CoreBytes };
  WeightFile: { read(bytes: CoreBytes): CoreWeightFile };
  CandidatesFloat32: new () => CoreCandidates;
  CandidatesFloat64: new () => CoreCandidates;
  saveFloat32: Save;
  saveFloat64: Save;
}

export interface CoreOptions {
  /** Called by the core to throw. */
  raise: (code: string, message: string) => never;
  /** Workers to be started at once, for the core's threads. */
  workers?: number;
  locateFile?: (name: string, folder: string) => string;
  /** Put there by a module with threads, even where its loading fails: ends its workers. */
  endWorkers?: () => void;
}

/** What an Emscripten module of ours exports as default. */
export type CoreFactory = (options: CoreOptions) => Promise<Core>;
