// The WebAssembly module as Embind shows it (bindings/embind).

export type DType = 'float32' | 'float64';
export type TypedArray = Float32Array | Float64Array;

/** Something in WASM memory, until `delete`. */
export interface CoreHandle {
  delete(): void;
}

export interface CoreTensor extends CoreHandle {
  fill(value: number): void;
  fillRandomNormal(seed: number, mean: number, deviation: number): void;
  shape(): number[];
  view(): TypedArray;
  reshaped(shape: readonly number[]): CoreTensor;
  clone(): CoreTensor;
}

export interface CoreTensorClass {
  uninitialized(shape: readonly number[]): CoreTensor;
}

/** Something under way: a forward, or a run of a compiled graph. */
export interface CorePending extends CoreHandle {
  /** Works on another thread and calls `done` afterwards; false where there is none. */
  runBehind(done: () => void): boolean;
  /** Works for about so many milliseconds on this thread; true: all is done. */
  advance(milliseconds: number): boolean;
}

export interface CorePendingForward extends CorePending {
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

export interface CoreGraphNodes extends CoreHandle {
  size(): number;
  /** `inputs`: places of nodes. */
  describe(
    place: number,
  ): [
    op: string,
    name: string,
    dtype: DType,
    broadcasts: boolean,
    inputs: number[],
    list: number[],
    shape: (number | string)[],
  ];
  /** The elements of a Constant; undefined where its layer was disposed of. */
  view(place: number): TypedArray | undefined;
}

/** What a graph is compiled from; an input for each call of addInput. */
export interface CoreGraphSource extends CoreHandle {
  addOutput(nodes: CoreGraphNodes, place: number): void;
  /** At most one of the two constants, by its dtype: an input that stays the same. */
  addInput(
    nodes: CoreGraphNodes,
    place: number,
    shape: readonly number[],
    constant32: CoreTensor | null,
    constant64: CoreTensor | null,
  ): void;
}

/** The tensors of a run: those that an output needs, in order. */
export type CoreInputs = [first: CoreTensor | null, second: CoreTensor | null, third: CoreTensor | null];

export interface CorePendingRun extends CorePending {
  resultFloat32(): CoreTensor;
  resultFloat64(): CoreTensor;
}

export interface CoreCompiledGraph extends CoreHandle {
  runFloat32(output: number, ...inputs: CoreInputs): CoreTensor;
  runFloat64(output: number, ...inputs: CoreInputs): CoreTensor;
  startFloat32(output: number, ...inputs: CoreInputs): CorePendingRun;
  startFloat64(output: number, ...inputs: CoreInputs): CorePendingRun;
  refresh(): void;
  /** The places of the inputs that a run of this output takes. */
  inputs(output: number): number[];
  /** Three texts a step: its name, its kernel, its association. */
  texts(output: number): string[];
  /** flopsBefore, bytesBefore, heldBytes, and FLOPs and bytes of each step. */
  numbers(output: number): number[];
  scratchBytes(): number;
}

type ExportGraph = (
  layer: CoreLayer,
  name: string,
  mask: boolean,
  input: string,
  tokens: string,
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
  addFloat32(name: string, parameter: string, tensor: CoreTensor): void;
  addFloat64(name: string, parameter: string, tensor: CoreTensor): void;
  addStored(parameter: string, file: CoreWeightFile, index: number): void;
  /** The names of the parameters that were loaded. */
  loadFloat32(layer: CoreLayer, strict: boolean): string[];
  loadFloat64(layer: CoreLayer, strict: boolean): string[];
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
  'Candidates',
  'GraphNodes',
  'GraphSource',
  'CompiledGraph',
  'PendingRun',
] as const;
export const coreFunctions = [
  'setThreads',
  'saveFloat32',
  'saveFloat64',
  'exportGraphFloat32',
  'exportGraphFloat64',
] as const;

/** What every module of ours has. */
export interface CoreModule {
  /** The top of the WASM stack. */
  stackSave(): number;
  stackRestore(top: number): void;
  /** "CODE message" of what a call of the core threw and `rethrow` throws again; throws itself what is none of the core's. */
  errorOf(rethrow: () => never): string;
  setThreads(threads: number): void;
  threads(): number;
  memoryInUse(): number;
  Bytes: { allocate(size: number): CoreBytes };
}

export interface Core extends CoreModule {
  parameterNames(): string[];
  TensorFloat32: CoreTensorClass;
  TensorFloat64: CoreTensorClass;
  LayerFloat32: CoreLayerClass;
  LayerFloat64: CoreLayerClass;
  WeightFile: { read(bytes: CoreBytes): CoreWeightFile };
  Candidates: { create(): CoreCandidates };
  saveFloat32: Save;
  saveFloat64: Save;
  exportGraphFloat32: ExportGraph;
  exportGraphFloat64: ExportGraph;
  GraphSource: { create(): CoreGraphSource };
  CompiledGraph: {
    /** `association` – 0: the cheaper one; 1: as written; 2: folded. */
    compile(source: CoreGraphSource, switches: number, association: number): CoreCompiledGraph;
  };
}
