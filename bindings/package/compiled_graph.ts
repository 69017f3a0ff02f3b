import type { CallTensors } from './accelerator';
import { checkInteger, isSameShape, show } from './checks';
import { asGraphMask, checkKeyMask, type CompiledInput } from './compiled_inputs';
import type { GpuOutput, GpuOutputs } from './compiled_on_gpu';
import type { CoreCompiledGraph, CoreInputs, CorePendingRun, DType } from './core';
import { accelerator } from './current_accelerator';
import { ArgumentError, ShapeError } from './errors';
import { Owned } from './handles';
import { guardMethods, internal, lockFields, requireInternal } from './instances';
import { forwardInWasm } from './layer_forward';
import { awaitPending } from './pending';
import { describePlans, flopsOf, type PlanDescription, planDescription } from './plan_description';
import { getRuntimeInfo } from './runtime';
import { checkTensor, type Tensor, tensorHandle, wrapTensor } from './tensor';

/**
 * A graph that is ready to run, from `compile`. It stores what it was compiled with: after a layer's
 * parameters have changed, runs throw ArgumentError until refresh. Call `dispose` (or declare it with
 * `using`) to free its memory.
 */
export class CompiledGraph {
  static readonly name = 'CompiledGraph';

  /** Floating-point operations of one run of all outputs. */
  readonly flops: number;
  /** Bytes of WASM memory that runs use in addition to inputs, outputs and cached constants. */
  readonly scratchBytes: number;
  readonly #owned: Owned<CoreCompiledGraph>;
  readonly #dtype: DType;
  readonly #inputs: readonly CompiledInput[];
  readonly #gpu: GpuOutputs;
  #plans: readonly PlanDescription[];
  /**
   * The last asynchronous run in WebAssembly, while it is in progress: such runs execute one after another.
   */
  #lastRun: Promise<void> | null = null;
  /** Increases when the graph is compiled again. */
  #version = 0;

  static {
    guardMethods(this, (value) => #owned in value);
  }

  private constructor(
    token: typeof internal,
    handle: CoreCompiledGraph,
    dtype: DType,
    inputs: readonly CompiledInput[],
    gpu: GpuOutputs,
  ) {
    requireInternal(token, 'CompiledGraph', 'compile');
    this.#owned = new Owned(this, handle);
    this.#dtype = dtype;
    this.#inputs = inputs;
    this.#gpu = gpu;
    this.#plans = gpu.outputs.map((_, output) => planDescription(handle, output));
    this.flops = flopsOf(this.#plans);
    this.scratchBytes = handle.scratchBytes();
    lockFields(this);
  }

  /** @internal */
  static wrap(
    handle: CoreCompiledGraph,
    dtype: DType,
    inputs: readonly CompiledInput[],
    gpu: GpuOutputs,
  ): CompiledGraph {
    return new CompiledGraph(internal, handle, dtype, inputs, gpu);
  }

  /**
   * Computes the only output.
   *
   * @param inputs tensors of the inputs that are not constants, in order
   * @throws ArgumentError if the graph has several outputs.
   */
  run(...inputs: Tensor[]): Tensor {
    return this.runOutput(this.#onlyOutput(), ...this.#neededOf(inputs));
  }

  /**
   * Resolves with the result of run without blocking the calling thread, on the device that was given to
   * `compile`. Runs execute one after another. Each computes with what the graph was compiled with at the
   * time of the call: later changes of parameters, refresh and dispose do not affect it. The tensors may be
   * disposed during the run, but must not be written to.
   */
  async runAsync(...inputs: Tensor[]): Promise<Tensor> {
    return this.runOutputAsync(this.#onlyOutput(), ...this.#neededOf(inputs));
  }

  /**
   * Computes one of several outputs.
   *
   * @param output its index
   * @param inputs tensors of the inputs that this output needs and that are not constants, in order
   */
  runOutput(output: number, ...inputs: Tensor[]): Tensor {
    const core = this.#handle;
    const tensors = this.#withGraphMasks(output, inputs);
    try {
      const handles = this.#handlesOf(output, tensors);
      const result =
        this.#dtype === 'float32' ? core.runFloat32(output, ...handles) : core.runFloat64(output, ...handles);
      return wrapTensor(result, this.#dtype);
    } finally {
      disposeOthers(tensors, inputs);
    }
  }

  /** Resolves with the result of runOutput without blocking the calling thread. */
  async runOutputAsync(output: number, ...inputs: Tensor[]): Promise<Tensor> {
    this.#requireAlive();
    const tensors = this.#withGraphMasks(output, inputs);
    try {
      return await this.#runOnAnyDevice(output, tensors);
    } finally {
      disposeOthers(tensors, inputs);
    }
  }

  async #runOnAnyDevice(output: number, inputs: readonly Tensor[]): Promise<Tensor> {
    const gpu = accelerator();
    const onGpu = this.#gpu.outputs[output] ?? null;
    if (gpu === null || onGpu === null || !this.#fitsGpu(onGpu, output, inputs)) {
      return this.#runInWasm(output, inputs);
    }
    const { graph, inputIndices } = onGpu;
    const needed = this.#plans[output]!.inputs;
    const tensorAt = (index: number): Tensor | null => inputs[needed.indexOf(index)] ?? null;
    const tensors = {
      input: tensorAt(inputIndices.input)!,
      context: tensorAt(inputIndices.context),
      mask: tensorAt(inputIndices.mask),
    };
    const ordered = ({ input, context, mask }: CallTensors): Tensor[] =>
      needed.map((index) =>
        index === inputIndices.input ? input : index === inputIndices.context ? context! : mask!,
      );
    const moment = graph.layer.hold();
    const version = this.#version;
    try {
      return await gpu.run(graph, tensors, { device: this.#gpu.device }, (inWasm) =>
        moment.isCurrent && version === this.#version && !this.#owned.disposed
          ? this.#runInWasm(output, ordered(inWasm))
          : moment.use((layer) => forwardInWasm(layer, this.#dtype, inWasm)),
      );
    } finally {
      moment.release();
    }
  }

  /**
   * Returns the device of the last runAsync of an output and why it was chosen, with the estimated times.
   * `output` is its index, default 0.
   */
  explain(output = 0): string {
    this.#requireAlive();
    const onGpu = this.#gpu.outputs[this.#checkOutput(output)]!;
    if (onGpu === null) return 'wasm: the GPU computes float32 outputs of layers only';
    return accelerator()?.explain(onGpu.graph) ?? `wasm: webgpu: ${getRuntimeInfo().webgpu}`;
  }

  /**
   * Compiles again with the current parameters of the layers and the current values of the constants. Runs in
   * progress finish first.
   */
  refresh(): void {
    const core = this.#handle;
    this.#gpu.constants.refresh(() => core.refresh());
    this.#version++;
    for (const onGpu of this.#gpu.outputs) {
      if (onGpu === null) continue;
      onGpu.parametersVersion = onGpu.graph.layer.parametersVersion;
      accelerator()?.release(onGpu.graph);
    }
    this.#plans = this.#plans.map((_, output) => planDescription(core, output));
  }

  /**
   * Returns a table of all steps with kernel, FLOPs and bytes, and the cost of the graph before compilation.
   */
  describe(): string {
    this.#requireAlive();
    return describePlans(this.#plans, this.scratchBytes);
  }

  /** Frees the memory. A second call has no effect. Runs in progress finish first. */
  dispose(): void {
    for (const onGpu of this.#gpu.outputs) if (onGpu !== null) accelerator()?.release(onGpu.graph);
    this.#gpu.constants.dispose();
    this.#owned.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #handle(): CoreCompiledGraph {
    return this.#owned.get('this CompiledGraph');
  }

  /** Throws DisposedError after dispose. */
  #requireAlive(): void {
    this.#owned.get('this CompiledGraph');
  }

  async #runInWasm(output: number, inputs: readonly Tensor[]): Promise<Tensor> {
    // The core shares the tensors' elements, and finishes the run before what it computes with changes.
    const pending = this.#start(output, this.#handlesOf(output, inputs));
    const result =
      this.#lastRun === null ? this.#finish(pending) : this.#lastRun.then(() => this.#finish(pending));
    const settled: Promise<void> = result.then(
      () => this.#removeRun(settled),
      () => this.#removeRun(settled),
    );
    this.#lastRun = settled;
    return result;
  }

  /** False if the core must report an error: tensors do not fit, or parameters have changed. */
  #fitsGpu({ graph, parametersVersion }: GpuOutput, output: number, tensors: readonly Tensor[]): boolean {
    const { inputs } = this.#plans[output]!;
    this.#checkCount(tensors, inputs);
    const fits = inputs.every((inputIndex, index) => {
      const { node, shape } = this.#inputs[inputIndex]!;
      const tensor = checkTensor(`input '${node.name}'`, tensors[index], this.#dtype);
      const isRight = isSameShape(tensor.shape, shape);
      if (!isRight && tensor.location === 'webgpu') {
        throw new ShapeError(
          `input '${node.name}' has shape ${show([...tensor.shape])}; expected ${show([...shape])}`,
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

  #removeRun(run: Promise<void>): void {
    if (this.#lastRun === run) this.#lastRun = null;
  }

  #onlyOutput(): number {
    this.#requireAlive();
    if (this.#plans.length !== 1) {
      throw new ArgumentError(`the graph has ${this.#plans.length} outputs; use runOutput`);
    }
    return 0;
  }

  /** Returns the tensors that the only output needs, of those for all inputs that are not constants. */
  #neededOf(tensors: readonly Tensor[]): Tensor[] {
    const indices = this.#inputs.flatMap(({ isConstant }, index) => (isConstant ? [] : [index]));
    this.#checkCount(tensors, indices);
    const needed = this.#plans[0]!.inputs;
    return tensors.filter((_, index) => needed.includes(indices[index]!));
  }

  #checkCount(tensors: readonly Tensor[], indices: readonly number[]): void {
    if (tensors.length === indices.length) return;
    const names = indices.map((index) => `'${this.#inputs[index]!.node.name}'`).join(', ');
    throw new ArgumentError(
      `inputs has ${tensors.length} tensors; expected ${indices.length}${names === '' ? '' : `: ${names}`}`,
    );
  }

  #checkOutput(output: unknown): number {
    return checkInteger('output', output, 0, this.#plans.length - 1);
  }

  /** Returns the inputs of an output with masks that the core reads; those are new tensors. */
  #withGraphMasks(output: unknown, tensors: readonly Tensor[]): Tensor[] {
    const needed = this.#plans[this.#checkOutput(output)]!.inputs;
    const replaced: Tensor[] = [];
    try {
      tensors.forEach((tensor, index) => {
        const input = this.#inputs[needed[index] ?? -1];
        replaced.push(input === undefined ? tensor : asGraphMask(input, tensor));
      });
      return replaced;
    } catch (error) {
      disposeOthers(replaced, tensors);
      throw error;
    }
  }

  #handlesOf(output: number, tensors: readonly Tensor[]): CoreInputs {
    const plan = this.#plans[output]!;
    this.#checkCount(tensors, plan.inputs);
    const handles = plan.inputs.map((inputIndex, index) => {
      const input = this.#inputs[inputIndex]!;
      const handle = tensorHandle(`input '${input.node.name}'`, tensors[index], this.#dtype);
      checkKeyMask(input, tensors[index]!);
      return handle;
    });
    return [handles[0] ?? null, handles[1] ?? null, handles[2] ?? null];
  }
}

/** Disposes the tensors that are not those given. */
function disposeOthers(tensors: readonly Tensor[], given: readonly Tensor[]): void {
  // A given value may be no tensor, and NaN.
  tensors.forEach((tensor, index) => Object.is(tensor, given[index]) || tensor.dispose());
}
