import { accelerator, type CallTensors, type DeviceChoice } from './accelerator';
import { checkBoolean, checkOneOf, checkOptions, checkShape, fail, isSameShape, show } from './checks';
import { type CardOptions, cardOptions, type CompiledInput, type OnCard } from './compiled_on_card';
import type {
  CoreCompiledGraph,
  CoreGraphSource,
  CoreInputs,
  CorePendingRun,
  CoreTensor,
  DType,
} from './core';
import { describePlans, type PlanDescription, planDescription } from './describe';
import { ArgumentError, ShapeError } from './errors';
import { checkNode, checkOutputs, type ComputationNode, nodeOrigin } from './graph';
import { Owned } from './handles';
import { awaitPending } from './pending';
import { getCore, getRuntimeInfo } from './runtime';
import { checkTensor, Tensor, tensorHandleOf, wrapTensor } from './tensor';

/** The compiler's passes: each may be left out, to see what it does. All are on by default. */
export interface CompilePasses {
  /** Operations that do the same with the same become one. */
  shareSubexpressions?: boolean;
  /** A layer's operations become one attention. */
  fuseAttention?: boolean;
  /** An attention takes images [B, C, H, W] as they are. */
  keepLayout?: boolean;
  /** What depends on nothing but constants is computed at once. */
  foldConstants?: boolean;
  /** Keys that a constant mask hides cost nothing. */
  dropMaskedKeys?: boolean;
}

export interface CompileOptions {
  /**
   * One shape for each input node, all sizes fixed. Tokens [batch, tokens, C] may be an image [B, C, H, W] or [N, C], too:
   * the output then has that form; a context [L, D], or of batch 1; a mask a key mask [B | 1, L] (1 = attend, 0 = ignore).
   */
  inputShapes: readonly (readonly number[])[];
  /** Inputs that stay the same over many runs (a prompt's context over all denoising steps), folded into the plan. */
  constants?: Map<ComputationNode, Tensor>;
  /**
   * Of runs that are not waited for (runAsync); run computes in WebAssembly. Default: what init was given. The graphics card
   * takes outputs of layers in float32; results are within 1e-4 of the largest element of those of run.
   */
  device?: DeviceChoice;
  /**
   * In which order an attention's products are taken: as written, folded – (x·(Wq·Kᵀ)) and P·(V·Wo) –, or (the default)
   * what costs less. Equal in real arithmetic; results differ by rounding.
   */
  association?: 'auto' | 'plain' | 'folded';
  /** Where both orders cost nearly the same (15 %): whether they are run and the faster one taken. Default true. */
  measure?: boolean;
  passes?: CompilePasses;
}

const associations = ['auto', 'plain', 'folded'] as const;
/** In the order of the core's bits. */
const passNames = [
  'shareSubexpressions',
  'fuseAttention',
  'keepLayout',
  'foldConstants',
  'dropMaskedKeys',
] as const;

let create: (
  handle: CoreCompiledGraph,
  dtype: DType,
  inputs: readonly CompiledInput[],
  card: CardOptions,
) => CompiledGraph;

/**
 * A graph that is ready to run. It holds what it was compiled with: after a layer's parameters have changed, runs throw
 * ArgumentError until refresh. Dispose it (or `using`).
 */
export class CompiledGraph {
  static readonly name = 'CompiledGraph';

  /** Floating-point operations of one run of all outputs. */
  readonly flops: number;
  /** Bytes of WASM memory that runs work in, beside inputs, outputs and what is kept. */
  readonly scratchBytes: number;
  readonly #owned: Owned<CoreCompiledGraph>;
  readonly #dtype: DType;
  readonly #inputs: readonly CompiledInput[];
  readonly #card: CardOptions;
  #plans: readonly PlanDescription[];
  /** Runs that are not waited for go one after another. */
  #lastRun: Promise<void> | null = null;

  static {
    create = (handle, dtype, inputs, card) => new CompiledGraph(handle, dtype, inputs, card);
  }

  private constructor(
    handle: CoreCompiledGraph,
    dtype: DType,
    inputs: readonly CompiledInput[],
    card: CardOptions,
  ) {
    if (typeof handle?.delete !== 'function' || typeof handle.scratchBytes !== 'function') {
      throw new ArgumentError('CompiledGraph has no constructor to call; it takes compile');
    }
    this.#owned = new Owned(this, handle);
    this.#dtype = dtype;
    this.#inputs = inputs;
    this.#card = card;
    this.#plans = card.outputs.map((_, output) => planDescription(handle, output));
    this.flops = flopsOf(this.#plans);
    this.scratchBytes = handle.scratchBytes();
  }

  /** The output, of the inputs that are not constants, in order. For a graph of one output. */
  run(...inputs: Tensor[]): Tensor {
    return this.runOutput(this.#onlyOutput(), ...this.#neededOf(inputs));
  }

  /**
   * The same without blocking the calling thread, on the device that compile was given or the scheduler picks. Runs go one
   * after another; the tensors may be disposed of meanwhile.
   */
  async runAsync(...inputs: Tensor[]): Promise<Tensor> {
    return this.runOutputAsync(this.#onlyOutput(), ...this.#neededOf(inputs));
  }

  /** One output of several, of the inputs that it needs and that are not constants, in order. */
  runOutput(output: number, ...inputs: Tensor[]): Tensor {
    const core = this.#handle;
    const handles = this.#handlesOf(output, inputs);
    const result =
      this.#dtype === 'float32' ? core.runFloat32(output, ...handles) : core.runFloat64(output, ...handles);
    return wrapTensor(result, this.#dtype);
  }

  /** The same without blocking the calling thread. */
  async runOutputAsync(output: number, ...inputs: Tensor[]): Promise<Tensor> {
    void this.#handle;
    const gpu = accelerator();
    const onCard = this.#card.outputs[output] ?? null;
    if (gpu === null || onCard === null || !this.#canRunOnCard(onCard, output, inputs)) {
      return this.#runInWasm(output, inputs);
    }
    const { graph, places } = onCard;
    const needed = this.#plans[output]!.inputs;
    const at = (place: number): Tensor | null => inputs[needed.indexOf(place)] ?? null;
    const tensors = { input: at(places.input)!, context: at(places.context), mask: at(places.mask) };
    const ordered = (given: CallTensors): Tensor[] =>
      needed.map((place) =>
        place === places.input ? given.input : place === places.context ? given.context! : given.mask!,
      );
    return gpu.run(graph, tensors, { device: this.#card.device }, (given) =>
      this.#runInWasm(output, ordered(given)),
    );
  }

  /** Which device the last runAsync of an output took and why, with the figures that it was weighed by. */
  explain(output = 0): string {
    void this.#handle;
    const onCard = this.#card.outputs[output];
    if (onCard === undefined) fail('output', output, `an integer from 0 to ${this.#plans.length - 1}`);
    if (onCard === null) return 'wasm: the graphics card takes outputs of layers in float32 only';
    return accelerator()?.explain(onCard.graph) ?? `wasm: webgpu: ${getRuntimeInfo().webgpu}`;
  }

  /** Compiles again with the parameters that the layers have now, and with the constants as they are now. */
  refresh(): void {
    const core = this.#handle;
    core.refresh();
    for (const onCard of this.#card.outputs) {
      if (onCard === null) continue;
      onCard.parametersVersion = onCard.graph.layer.parametersVersion;
      accelerator()?.release(onCard.graph);
    }
    this.#plans = this.#plans.map((_, output) => planDescription(core, output));
  }

  /** What was compiled, for people: each step, its kernel, FLOPs and bytes; and what the graph would have cost as written. */
  describe(): string {
    void this.#handle;
    return describePlans(this.#plans, this.scratchBytes);
  }

  /** Frees the memory. Twice is harmless. A run that is under way is finished first. */
  dispose(): void {
    for (const onCard of this.#card.outputs) if (onCard !== null) accelerator()?.release(onCard.graph);
    for (const constant of this.#card.constants) constant.dispose();
    this.#owned.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #handle(): CoreCompiledGraph {
    return this.#owned.get('this CompiledGraph');
  }

  async #runInWasm(output: number, inputs: readonly Tensor[]): Promise<Tensor> {
    // Shared, so that disposing of the tensors meanwhile does no harm.
    const handles = this.#handlesOf(output, inputs).map(
      (handle) => handle && handle.reshaped(handle.shape()),
    ) as CoreInputs;
    const run = async (): Promise<Tensor> => {
      try {
        return await this.#finish(this.#start(output, handles));
      } finally {
        handles.forEach((handle) => handle?.delete());
      }
    };
    // At once where no other is under way: it is of the parameters that there are now.
    const result = this.#lastRun === null ? run() : this.#lastRun.then(run);
    const over: Promise<void> = result.then(
      () => this.#forget(over),
      () => this.#forget(over),
    );
    this.#lastRun = over;
    return result;
  }

  /** False where the core has an error to tell, of tensors that do not fit, or of parameters that have changed. */
  #canRunOnCard({ graph, parametersVersion }: OnCard, output: number, tensors: readonly Tensor[]): boolean {
    const { inputs } = this.#plans[output]!;
    this.#checkCount(tensors, inputs);
    const fits = inputs.every((place, number) => {
      const { node, shape } = this.#inputs[place]!;
      const tensor = checkTensor(`input '${node.name}'`, tensors[number], this.#dtype);
      const isRight = isSameShape(tensor.shape, shape);
      if (!isRight && tensor.location === 'webgpu') {
        throw new ShapeError(
          `input '${node.name}' has shape ${show([...tensor.shape])}; it takes ${show([...shape])}`,
        );
      }
      return isRight;
    });
    return fits && graph.layer.isAlive && graph.layer.parametersVersion === parametersVersion;
  }

  #start(output: number, handles: CoreInputs): CorePendingRun {
    const core = this.#handle;
    return this.#dtype === 'float32'
      ? core.startFloat32(output, ...handles)
      : core.startFloat64(output, ...handles);
  }

  async #finish(pending: CorePendingRun): Promise<Tensor> {
    try {
      await awaitPending(pending);
      const result = this.#dtype === 'float32' ? pending.resultFloat32() : pending.resultFloat64();
      return wrapTensor(result, this.#dtype);
    } finally {
      pending.delete();
    }
  }

  #forget(run: Promise<void>): void {
    if (this.#lastRun === run) this.#lastRun = null;
  }

  #onlyOutput(): number {
    void this.#handle;
    if (this.#plans.length !== 1) {
      throw new ArgumentError(
        `this CompiledGraph has ${this.#plans.length} outputs; run takes one of a single output: use runOutput`,
      );
    }
    return 0;
  }

  /** Of the tensors for all inputs that are not constants, those that the only output needs. */
  #neededOf(tensors: readonly Tensor[]): Tensor[] {
    const places = this.#inputs.flatMap(({ isConstant }, place) => (isConstant ? [] : [place]));
    this.#checkCount(tensors, places);
    const needed = this.#plans[0]!.inputs;
    return tensors.filter((_, number) => needed.includes(places[number]!));
  }

  #checkCount(tensors: readonly Tensor[], places: readonly number[]): void {
    if (tensors.length === places.length) return;
    const names = places.map((place) => `'${this.#inputs[place]!.node.name}'`).join(', ');
    throw new ArgumentError(
      `inputs are ${tensors.length} tensors; it takes ${places.length}${names === '' ? '' : `: ${names}`}`,
    );
  }

  #handlesOf(output: number, tensors: readonly Tensor[]): CoreInputs {
    const plan = this.#plans[output];
    if (plan === undefined) fail('output', output, `an integer from 0 to ${this.#plans.length - 1}`);
    this.#checkCount(tensors, plan.inputs);
    const handles = plan.inputs.map((place, number) => {
      const input = this.#inputs[place]!;
      const handle = tensorHandleOf(`input '${input.node.name}'`, tensors[number], this.#dtype);
      checkKeyMask(input, tensors[number]!);
      return handle;
    });
    return [handles[0] ?? null, handles[1] ?? null, handles[2] ?? null];
  }
}

const flopsOf = (plans: readonly PlanDescription[]): number =>
  plans.flatMap(({ steps }) => steps).reduce((sum, { flops }) => sum + flops, 0);

/** A key mask holds ones and zeros. */
function checkKeyMask({ node, shape }: CompiledInput, tensor: Tensor): void {
  if (node.attributes['broadcast'] !== true || shape.length !== 2) return;
  const wrong = tensor.view().find((value) => value !== 0 && value !== 1);
  if (wrong === undefined) return;
  fail(`input '${node.name}' [B, L] holds a value that`, wrong, '1 (attend) and 0 (ignore) in a key mask');
}

function checkInputs(
  inputs: readonly ComputationNode[],
  inputShapes: readonly (readonly number[])[],
  constants: Map<ComputationNode, Tensor>,
): CompiledInput[] {
  if (!Array.isArray(inputs)) fail('inputs', inputs, 'an array of ComputationNodes');
  if (!Array.isArray(inputShapes)) fail('inputShapes', inputShapes, 'an array of shapes');
  if (!(constants instanceof Map)) fail('constants', constants, 'a Map from ComputationNodes to Tensors');
  if (inputShapes.length !== inputs.length) {
    throw new ShapeError(
      `inputShapes has ${inputShapes.length} shapes; it takes one for each of the ${inputs.length} inputs`,
    );
  }
  for (const node of constants.keys()) {
    if (!inputs.includes(checkNode('constants', node))) {
      throw new ArgumentError(`constants holds node '${node.name}'; it takes nodes that are among inputs`);
    }
  }
  return inputs.map((input, number) => {
    const node = checkNode(`inputs[${number}]`, input);
    const shape = checkShape(`inputShapes[${number}]`, inputShapes[number]);
    return { node, shape, isConstant: constants.has(node) };
  });
}

function checkConstant(input: CompiledInput, tensor: Tensor): CoreTensor {
  const { node, shape } = input;
  const handle = tensorHandleOf(`constant '${node.name}'`, tensor, node.dtype);
  if (!isSameShape(tensor.shape, shape)) {
    throw new ShapeError(
      `constant '${node.name}' has shape ${show([...tensor.shape])}; it takes that of inputShapes, ${show([...shape])}`,
    );
  }
  checkKeyMask(input, tensor);
  return handle;
}

/** The core's switches, a bit each, and its number of the association. */
function checkCompileOptions(options: CompileOptions): { switches: number; association: number } {
  const { association = 'auto', measure = true, passes, device } = options;
  if (device !== undefined) checkOneOf('device', device, ['auto', 'wasm', 'webgpu']);
  const given = checkOptions('passes', passes);
  for (const name of Object.keys(given)) checkOneOf('passes', name, passNames);
  const wanted = [
    ...passNames.map((name) => checkBoolean(`passes.${name}`, given[name] ?? true)),
    checkBoolean('measure', measure),
  ];
  return {
    switches: wanted.reduce((bits, wants, number) => bits | (wants ? 1 << number : 0), 0),
    association: associations.indexOf(checkOneOf('association', association, associations)),
  };
}

/**
 * Readies a graph for these shapes: constant folding, attention fused to one kernel, the order of products that costs
 * least, one plan of memory. `output`: one node, or several that may be run one by one. Throws ArgumentError for an input
 * that is missing or twice, ShapeError for shapes that do not fit, naming the node.
 */
export async function compile(
  output: ComputationNode | readonly ComputationNode[],
  inputs: readonly ComputationNode[],
  options: CompileOptions,
): Promise<CompiledGraph> {
  const core = getCore();
  if (typeof options !== 'object' || options === null) fail('options', options, 'an object with inputShapes');
  const { inputShapes, constants } = options;
  const outputs = checkOutputs(output);
  const constantTensors = constants ?? new Map<ComputationNode, Tensor>();
  const compiledInputs = checkInputs(inputs, inputShapes, constantTensors);
  const { switches, association } = checkCompileOptions(options);
  const { dtype } = outputs[0]!;
  for (const node of [...outputs, ...compiledInputs.map((input) => input.node)]) {
    if (node.dtype === dtype) continue;
    throw new ArgumentError(`node '${node.name}' is of ${node.dtype}; it takes that of the output, ${dtype}`);
  }

  const source = core.GraphSource.create();
  try {
    addNodes(source, outputs, compiledInputs, constantTensors);
    const handle = core.CompiledGraph.compile(source, switches, association);
    const card = cardOptions(outputs, compiledInputs, constantTensors, options, (place) =>
      flopsOf([planDescription(handle, place)]),
    );
    return create(handle, dtype, compiledInputs, card);
  } finally {
    source.delete();
  }
}

function addNodes(
  source: CoreGraphSource,
  outputs: readonly ComputationNode[],
  inputs: readonly CompiledInput[],
  constants: Map<ComputationNode, Tensor>,
): void {
  for (const node of outputs) {
    const { nodes, place } = nodeOrigin(node);
    source.addOutput(nodes, place);
  }
  for (const input of inputs) {
    const { nodes, place } = nodeOrigin(input.node);
    const constant = input.isConstant ? checkConstant(input, constants.get(input.node)!) : null;
    const isSingle = input.node.dtype === 'float32';
    source.addInput(nodes, place, input.shape, isSingle ? constant : null, isSingle ? null : constant);
  }
}
