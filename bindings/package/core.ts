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

/** Something under way: a forward, or a run of a compiled graph. */
export interface CorePending extends CoreHandle {
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
  startForward(...call: CallArguments): CorePending;
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

export interface CoreGraphNodes extends CoreHandle {
  size(): number;
  /** `inputs`: places of nodes. */
  describe(place: number): {
    op: string;
    name: string;
    dtype: DType;
    shape: (number | string)[];
    list: number[];
    broadcasts: boolean;
    inputs: number[];
  };
  /** The elements of a Constant; undefined where its layer was disposed of. */
  view(place: number): TypedArray | undefined;
}

/** What a graph is compiled from; an input for each call of addInput. */
export interface CoreGraphSource extends CoreHandle {
  addOutput(nodes: CoreGraphNodes, place: number): void;
  addInput(nodes: CoreGraphNodes, place: number, shape: readonly number[]): void;
  /** The last input stays the same. */
  setConstantFloat32(tensor: CoreTensor): void;
  setConstantFloat64(tensor: CoreTensor): void;
}

export interface CoreCompileOptions {
  shareSubexpressions: boolean;
  fuseAttention: boolean;
  keepLayout: boolean;
  foldConstants: boolean;
  dropMaskedKeys: boolean;
  measure: boolean;
  /** 0: the cheaper one; 1: as written; 2: folded. */
  association: number;
}

/** One step of a compiled graph. */
export interface CoreStep {
  step: string;
  kernel: string;
  association: string;
  flops: number;
  bytes: number;
}

/** One output of a compiled graph. `inputs`: the places of the inputs that a run takes. */
export interface CorePlan {
  inputs: number[];
  flopsBefore: number;
  bytesBefore: number;
  heldBytes: number;
  steps: CoreStep[];
}

type RunArguments = [
  output: number,
  first: CoreTensor | null,
  second: CoreTensor | null,
  third: CoreTensor | null,
];

export interface CoreCompiledGraph extends CoreHandle {
  run(...run: RunArguments): CoreTensor;
  start(...run: RunArguments): CorePending;
  refresh(): void;
  describe(output: number): CorePlan;
  scratchBytes(): number;
}

export interface CoreCompiledGraphClass {
  compile(source: CoreGraphSource, options: CoreCompileOptions): CoreCompiledGraph;
}

type ExportGraph = (
  layer: CoreLayer,
  options: { name: string; mask: boolean; input: string; tokens: string },
  shared: CoreGraphNodes | null,
  context: number,
) => CoreGraphNodes;

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
  'GraphNodes',
  'GraphSource',
  'CompiledGraphFloat32',
  'CompiledGraphFloat64',
  'PendingRunFloat32',
  'PendingRunFloat64',
] as const;
export const coreFunctions = [
  'setThreads',
  'saveFloat32',
  'saveFloat64',
  'exportGraphFloat32',
  'exportGraphFloat64',
] as const;

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
  exportGraphFloat32: ExportGraph;
  exportGraphFloat64: ExportGraph;
  GraphSource: new () => CoreGraphSource;
  CompiledGraphFloat32: CoreCompiledGraphClass;
  CompiledGraphFloat64: CoreCompiledGraphClass;
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
