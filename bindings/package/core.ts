// Types of the WebAssembly module that bindings/embind defines.

export type DType = 'float32' | 'float64';
export type TypedArray = Float32Array | Float64Array;

/** An object in WASM memory. `delete` frees it. */
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

/** Pending work: a forward, or a run of a compiled graph. */
export interface CorePending extends CoreHandle {
  /**
   * Starts the work on a background thread, which calls `done` at its end. Returns false if there is no such
   * thread.
   */
  runInBackground(done: () => void): boolean;
  /** Works for about this time on the calling thread. Returns true if all work is done. */
  advance(milliseconds: number): boolean;
}

export interface CorePendingForward extends CorePending {
  result(): CoreTensor;
}

/** The mask is one of two arguments, by its dtype. */
type CallArguments = [
  input: CoreTensor,
  context: CoreTensor | null,
  mask32: CoreTensor | null,
  mask64: CoreTensor | null,
  maskIsBoolean: boolean,
  causal: boolean,
];

export interface CoreRecorder extends CoreHandle {
  calls(): number;
  /** Returns [height, width]. `names`: empty for all. */
  heatMap(
    group: number,
    names: readonly string[],
    normalize: boolean,
    width: number,
    height: number,
  ): CoreTensor;
  /** Throws as a recorded call with these shapes does. */
  check(input: readonly number[], length: number, conditional: boolean): void;
  /** Adds a call that ran on the GPU: sums [rows][groups][tokens] over the heads. */
  add(name: string, input: readonly number[], heads: number, rows: number, sums: Float32Array): void;
  reset(): void;
}

/** `recorder`: null if the call is not recorded. */
export type RecordArguments = [recorder: CoreRecorder | null, name: string, conditional: boolean];

export interface CoreLayer extends CoreHandle {
  forward(...callAndRecord: [...CallArguments, ...RecordArguments]): CoreTensor;
  startForward(...callAndRecord: [...CallArguments, ...RecordArguments]): CorePendingForward;
  backward(outputGradient: CoreTensor): CoreTensor;
  contextGradient(): CoreTensor | null;
  attentionMaps(...callAndHeads: [...CallArguments, allHeads: boolean]): CoreTensor;
  training(): boolean;
  setTraining(training: boolean): void;
  parametersView(): TypedArray;
  /** Allocates the gradients unless they have memory. */
  requireGradients(): void;
  /** Empty if the gradients have no memory because there was no backward yet: they are zero. */
  gradientsView(): TypedArray;
  parameterView(name: string): TypedArray | undefined;
  parameterNames(): string[];
  parameterShape(name: string): number[] | undefined;
  setParameters(values: CoreTensor): void;
  setParameter(name: string, value: CoreTensor): boolean;
  /** The parameters with LoRAs: those of parametersView if none is in effect. */
  effectiveView(): TypedArray;
  /** Adds a LoRA without updates, of scale 0. */
  addLora(): void;
  /** Adds an update of a weight to the last LoRA. `factor`: alpha / rank. */
  addLoraUpdate(weight: string, down: CoreTensor, up: CoreTensor, factor: number): void;
  /** One scale per LoRA. */
  setLoraScales(scales: readonly number[]): void;
  removeLora(index: number): void;
  mergeLoras(): void;
  clearGradients(): void;
  updateParameters(learningRate: number): void;
  /** Updates one parameter and clears its gradient. */
  updateParameter(name: string, learningRate: number): void;
  /** False: backward does not compute the gradient of this parameter, which stays as it is. */
  setTrainable(name: string, trainable: boolean): void;
  resetState(): void;
  diagnostics(): Record<string, string>;
}

export interface CoreLayerClass {
  /** See create in bindings/embind/layer.cpp. */
  create(options: readonly number[]): CoreLayer;
}

/** The sizes that costs depend on. `norm`: 1 with a norm of queries and keys, else 0. */
export type CoreDimensions = readonly [
  queryDim: number,
  contextDim: number,
  numHeads: number,
  headDim: number,
  outputDim: number,
  norm: number,
];

/** Adam for some parameters of a layer. Each call takes that layer. */
export interface CoreAdam extends CoreHandle {
  /** Adds a parameter, with moments of zero. */
  add(layer: CoreLayer, parameter: string): void;
  /** `step`: its number, from 1. */
  step(
    layer: CoreLayer,
    learningRate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    weightDecay: number,
    step: number,
  ): void;
  /** `index`: of the parameters in the order of add. */
  momentView(index: number, isSquare: boolean): TypedArray;
  save(layer: CoreLayer, metadata: string): CoreBytes;
}

export interface CoreGraphNodes extends CoreHandle {
  size(): number;
  /** `inputs` are indices of nodes. `list`: see attributes in graph.ts. */
  describe(
    index: number,
  ): [
    op: string,
    name: string,
    dtype: DType,
    broadcasts: boolean,
    inputs: number[],
    list: number[],
    shape: (number | string)[],
  ];
  /** Returns a view of the elements of a Constant; undefined if its layer was disposed. */
  view(index: number): TypedArray | undefined;
}

/** What a graph is compiled from. Each call of addInput adds an input. */
export interface CoreGraphSource extends CoreHandle {
  addOutput(nodes: CoreGraphNodes, index: number): void;
  /** For a constant input, one of the last two arguments is its tensor, by its dtype; else both are null. */
  addInput(
    nodes: CoreGraphNodes,
    index: number,
    shape: readonly number[],
    constant32: CoreTensor | null,
    constant64: CoreTensor | null,
  ): void;
}

/** The tensors of a run: those that the output needs, in order. */
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
  /** Returns the indices of the inputs that a run of this output needs. */
  inputs(output: number): number[];
  /** Returns three strings for each step: its name, its kernel, its association. */
  texts(output: number): string[];
  /** Returns flopsBefore, bytesBefore, cachedBytes, then FLOPs and bytes of each step. */
  numbers(output: number): number[];
  scratchBytes(): number;
}

type ExportGraph = (
  layer: CoreLayer,
  name: string,
  /** The name of its input; '' for none. */
  mask: string,
  isKeyMask: boolean,
  input: string,
  tokens: string,
  shared: CoreGraphNodes | null,
  context: number,
  /** Index of the shared mask; -1 for none. */
  sharedMask: number,
) => CoreGraphNodes;

export interface CoreBytes extends CoreHandle {
  view(): Uint8Array;
}

/** [names, dtypes, numbers, metadata]: see readHeader in bindings/embind/weights.cpp. */
export type CoreHeader = [names: string[], types: string[], numbers: number[], metadata: string[]];

/** Decodes the first `size` bytes to `count` elements from `offset` on. `name`: for messages. */
type Decode = (
  tensor: CoreTensor,
  offset: number,
  count: number,
  name: string,
  type: string,
  bytes: CoreBytes,
  size: number,
) => void;
/** `parameter`: its number in the order of parameterNames. */
type Load = (
  layer: CoreLayer,
  parameter: number,
  offset: number,
  count: number,
  type: string,
  bytes: CoreBytes,
  size: number,
) => void;

type Save = (layer: CoreLayer, prefix: string, dtype: string) => CoreBytes;

/** Classes and functions of the module that may throw. */
export const coreClasses = [
  'TensorFloat32',
  'TensorFloat64',
  'LayerFloat32',
  'LayerFloat64',
  'AdamFloat32',
  'AdamFloat64',
  'AttentionRecorder',
  'PendingForwardFloat32',
  'PendingForwardFloat64',
  'Bytes',
  'GraphNodes',
  'GraphSource',
  'CompiledGraph',
  'PendingRun',
] as const;
export const coreFunctions = [
  'setThreads',
  'checkCall',
  'checkOutputGradient',
  'readHeader',
  'decodeFloat32',
  'decodeFloat64',
  'loadFloat32',
  'loadFloat64',
  'saveFloat32',
  'saveFloat64',
  'exportGraphFloat32',
  'exportGraphFloat64',
] as const;

/** Functions that every WebAssembly module of this package has. */
export interface CoreModule {
  /** Returns the top of the WASM stack. */
  stackSave(): number;
  stackRestore(top: number): void;
  /**
   * Describes an exception of the core that `rethrow` throws again. An error of JavaScript passes through.
   * Needs no WASM memory.
   */
  errorOf(rethrow: () => never): [code: string, message: string];
  setThreads(threads: number): void;
  threads(): number;
  memoryInUse(): number;
  Bytes: { allocate(size: number): CoreBytes };
}

export interface Core extends CoreModule {
  /** Throws "CODE message" if a layer of these dimensions does not support the shapes of a call. */
  checkCall(
    queryDim: number,
    contextDim: number,
    numHeads: number,
    input: readonly number[],
    context: readonly number[] | null,
    mask: readonly number[] | null,
  ): void;
  /** Throws "CODE message" unless outputGradient has the shape of the last training forward's output. */
  checkOutputGradient(outputGradient: readonly number[], output: readonly number[]): void;
  /**
   * `tokens` of all batch rows, each of which attends to `keys` keys; `projectedKeys` of all context rows.
   */
  forwardFlops(
    dimensions: CoreDimensions,
    tokens: number,
    keys: number,
    projectedKeys: number,
    folded: boolean,
  ): number;
  /** True if runs with a constant context need fewer FLOPs when it is folded into the weights. */
  foldsConstantContext(dimensions: CoreDimensions, keys: number): boolean;
  TensorFloat32: CoreTensorClass;
  TensorFloat64: CoreTensorClass;
  LayerFloat32: CoreLayerClass;
  LayerFloat64: CoreLayerClass;
  AdamFloat32: { create(): CoreAdam };
  AdamFloat64: { create(): CoreAdam };
  /** `keys`: an array of indices for each group. */
  AttentionRecorder: { create(size: number, keys: readonly (readonly number[])[]): CoreRecorder };
  /** `bytes`: the header without its length. `dataBytes`: -1 if unknown. */
  readHeader(bytes: CoreBytes, dataBytes: number): CoreHeader;
  /** Floating-point and integer types. */
  decodeFloat32: Decode;
  /** Floating-point types only. */
  decodeFloat64: Decode;
  loadFloat32: Load;
  loadFloat64: Load;
  saveFloat32: Save;
  saveFloat64: Save;
  exportGraphFloat32: ExportGraph;
  exportGraphFloat64: ExportGraph;
  GraphSource: { create(): CoreGraphSource };
  CompiledGraph: {
    /** `association`: 0 for the cheaper one, 1 as written, 2 folded. */
    compile(source: CoreGraphSource, switches: number, association: number): CoreCompiledGraph;
  };
}
