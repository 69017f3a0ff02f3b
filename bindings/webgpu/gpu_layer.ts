// A layer on the graphics card: what it keeps there, and its calls.
import { DeviceError } from '../package/errors';
import { type GradientBuffers, recordBackward } from './backward';
import type { CallSizes } from './call';
import { type Device, LimitError } from './device';
import { type Association, keptBytes, type KeptContext, recordContext, recordRun } from './folded';
import { type BatchRows, padded, recordForward, type Saved } from './forward';
import type { GpuBuffer } from './memory';
import {
  elementsOf,
  isResident,
  type Operand,
  type Operands,
  placeOf,
  type Result,
  uploadOperand,
} from './operands';
import type { Binding, Recorder } from './recorder';
import type { Recording, Strategy } from './recording';
import { Scratch } from './scratch';
import { Submissions } from './submissions';
import { type LayerSizes, parameterCounts, type ParameterName, type Precision, Weights } from './weights';

/** The parameters at the time of the call. */
export interface ParameterState {
  version: number;
  values: () => Float32Array;
}

/** What a training forward leaves on the card. */
export interface SavedCall {
  readonly call: CallSizes;
  readonly operands: Operands;
  readonly weights: Weights;
  readonly saved: Saved;
  release(): void;
}

export interface ForwardResult {
  result: Result;
  /** Null where nothing was to be kept. */
  saved: SavedCall | null;
}

export interface BackwardResult {
  inputGradient: Result;
  /** Null for self-attention. */
  contextGradient: Float32Array | null;
  /** In the order of the parameters. */
  parameterGradients: Float32Array[];
}

/** Scores that are in memory at a time are of no fewer tokens. */
const fewestTokens = 64;

export class GpuLayer {
  readonly device: Device;
  readonly #sizes: LayerSizes;
  readonly #precision: Precision;
  readonly #strategy: Strategy;
  readonly #scratch: Scratch;
  readonly #submissions: Submissions;
  #weights: Weights | null = null;
  #weightsVersion = -1;
  #owners = 1;

  constructor(device: Device, sizes: LayerSizes, precision: Precision, strategy: Strategy) {
    this.device = device;
    this.#sizes = sizes;
    this.#precision = precision;
    this.#strategy = strategy;
    this.#scratch = new Scratch(device);
    this.#submissions = new Submissions(device, this.#scratch);
  }

  /**
   * The output of a call. `keeps`: what a backward needs stays on the card. Throws DeviceError, OutOfMemoryError. The
   * parameters are those at the time of this call, whatever waits before it.
   */
  async forward(
    call: CallSizes,
    operands: Operands,
    parameters: ParameterState,
    { keeps, resident }: { keeps: boolean; resident: boolean },
  ): Promise<ForwardResult> {
    const groups = this.#groups(call, keeps);
    return this.#withWeights(parameters, async (weights) => {
      return await this.#withTarget('output', elementsOf(call.input), resident, async (storage, values) => {
        if (keeps) return this.#forwardKept(call, operands, weights, storage, values);
        for (const rows of groups) await this.#forwardRows(call, operands, weights, rows, storage, values);
        return null;
      }).then(({ result, done }) => ({ result, saved: done }));
    });
  }

  /** All gradients of a training forward. */
  async backward(
    { call, operands, weights, saved }: SavedCall,
    outputGradient: Operand,
    resident: boolean,
  ): Promise<BackwardResult> {
    const { input, context, isSelfAttention } = call;
    const counts = parameterCounts(this.#sizes);
    const count = elementsOf(input);
    const { device } = this;
    const take = (name: string, elements: number): GPUBuffer =>
      this.#scratch.take(`gradient of ${name}`, 4 * elements);
    const { result, done } = await this.#withTarget('input gradient', count, resident, (storage, values) =>
      this.#submissions.run({
        record: (recorder) => {
          const gradients: GradientBuffers = {
            outputGradient: placeOf(this.#scratch, 'output gradient', outputGradient, count),
            inputGradient: storage?.buffer ?? take('input', count),
            contextGradient: isSelfAttention ? null : take('context', elementsOf(context)),
            parameters: Object.fromEntries(
              counts.map(([name, elements]) => [name, { buffer: take(name, elements) }]),
            ) as Record<ParameterName, Binding>,
          };
          recordBackward(this.#with(recorder), weights, call, this.#places(call, operands), saved, gradients);
          return gradients;
        },
        upload: () => {
          this.#upload('output gradient', outputGradient);
          this.#uploadAll(operands);
        },
        read: async (gradients) => {
          const [ofInput, ofContext, ...ofParameters] = await Promise.all([
            values && device.read(gradients.inputGradient, 0, 4 * count),
            gradients.contextGradient && device.read(gradients.contextGradient, 0, 4 * elementsOf(context)),
            ...counts.map(([name, elements]) =>
              device.read(gradients.parameters[name].buffer, 0, 4 * elements),
            ),
          ]);
          if (values !== null) values.set(ofInput!);
          return { contextGradient: ofContext ?? null, parameterGradients: ofParameters as Float32Array[] };
        },
      }),
    );
    return { inputGradient: result, ...done };
  }

  /** A context that stays the same, ready for any number of runs; the caller's until release. */
  async keepContext(
    call: CallSizes,
    context: Operand,
    parameters: ParameterState,
    association: Association,
  ): Promise<KeptContext> {
    this.#groups(call, true);
    const bytes = keptBytes(this.#sizes, call, association);
    const buffers: GpuBuffer[] = [];
    let kept: KeptContext | null = null;
    const keep = async (weights: Weights): Promise<KeptContext> => {
      for (const name of ['kept keys', 'kept values']) buffers.push(await this.device.allocate(name, bytes));
      const [key, value] = buffers as [GpuBuffer, GpuBuffer];
      return this.#submissions.run({
        record: (recorder) => {
          const place = placeOf(this.#scratch, 'context', context, elementsOf(call.context));
          kept = recordContext(this.#with(recorder), weights, call, place, association, key, value);
          return kept;
        },
        upload: () => this.#upload('context', context),
        read: (made) => made,
      });
    };
    try {
      return await this.#withWeights(parameters, keep);
    } catch (error) {
      if (kept === null) buffers.forEach((buffer) => buffer.release());
      else (kept as KeptContext).release();
      throw error;
    }
  }

  /** A run with a kept context. */
  async run(
    call: CallSizes,
    kept: KeptContext,
    input: Operand,
    mask: Operand | null,
    resident: boolean,
  ): Promise<Result> {
    const count = elementsOf(call.input);
    const operands = { input, context: null, mask };
    const { result } = await this.#withTarget('output', count, resident, (storage, values) =>
      this.#submissions.run({
        record: (recorder) => {
          const output = storage?.buffer ?? this.#scratch.take('output', 4 * count);
          const { input: inputPlace, mask: maskPlace } = this.#places(call, operands);
          recordRun(this.#with(recorder), call, kept, { input: inputPlace, mask: maskPlace, output });
          return output;
        },
        upload: () => this.#uploadAll(operands),
        read: async (output) => values?.set(await this.device.read(output, 0, 4 * count)),
      }),
    );
    return result;
  }

  /** For a call that is under way: what it works in is there until it, too, has disposed of the layer. */
  share(): this {
    this.#owners++;
    return this;
  }

  dispose(): void {
    if (--this.#owners > 0) return;
    this.#weights?.release();
    this.#weights = null;
    this.#submissions.dispose();
  }

  /** Batch rows that fit the device's buffers at a time. Throws LimitError where a single one, or what is kept, does not. */
  #groups({ input, context, mask }: CallSizes, keeps: boolean): BatchRows[] {
    const { limits } = this.device.gpu;
    const { queryDim, numHeads } = this.#sizes;
    const most = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
    const keys = padded(context.tokens);
    const ofRow =
      4 *
      Math.max(
        queryDim * input.tokens,
        queryDim * keys,
        context.tokens * context.channels,
        numHeads * keys * Math.min(fewestTokens, input.tokens),
        1,
      );
    const atOnce = Math.min(
      Math.floor(most / ofRow),
      Math.floor(limits.maxComputeWorkgroupsPerDimension / numHeads),
    );
    const refuse = (what: string, bytes: number): never => {
      throw new LimitError(`${what} needs ${bytes} bytes in one buffer; the device takes ${most}`);
    };
    if (atOnce < 1) refuse('one batch row', ofRow);
    if (4 * mask.elements > most) refuse('the mask', 4 * mask.elements);
    if (keeps && atOnce < input.batch)
      refuse('what is kept for a backward or of a context', ofRow * input.batch);
    return Array.from({ length: Math.ceil(input.batch / atOnce) }, (_, group) => ({
      first: group * atOnce,
      count: Math.min(atOnce, input.batch - group * atOnce),
    }));
  }

  async #forwardRows(
    call: CallSizes,
    operands: Operands,
    weights: Weights,
    rows: BatchRows,
    storage: GpuBuffer | null,
    values: Float32Array | null,
  ): Promise<void> {
    const contextRows = call.context.batch === 1 ? { first: 0, count: 1 } : rows;
    const inputRow = call.input.tokens * call.input.channels;
    const contextRow = call.context.tokens * call.context.channels;
    const { input, context, mask } = operands;
    // In scratch, a part begins with its own first row.
    const firsts = {
      input: isResident(input) ? rows.first : 0,
      context: context && isResident(context) ? contextRows.first : 0,
      output: storage ? rows.first : 0,
    };
    await this.#submissions.run({
      record: (recorder) => {
        const output = storage?.buffer ?? this.#scratch.take('output', 4 * inputRow * rows.count);
        const places = {
          input: placeOf(this.#scratch, 'input', input, inputRow * rows.count),
          context: context && placeOf(this.#scratch, 'context', context, contextRow * contextRows.count),
          mask: mask && placeOf(this.#scratch, 'mask', mask, call.mask.elements),
          output,
        };
        recordForward(this.#with(recorder), weights, call, rows, firsts, places, null);
        return output;
      },
      upload: () => {
        this.#upload('input', input, rows.first * inputRow, rows.count * inputRow);
        this.#upload('context', context, contextRows.first * contextRow, contextRows.count * contextRow);
        this.#upload('mask', mask);
      },
      read: async (output) => {
        if (values === null) return;
        const part = await this.device.read(output, 0, 4 * inputRow * rows.count);
        values.set(part, rows.first * inputRow);
      },
    });
  }

  async #forwardKept(
    call: CallSizes,
    operands: Operands,
    weights: Weights,
    storage: GpuBuffer | null,
    values: Float32Array | null,
  ): Promise<SavedCall> {
    const { input, context } = call;
    const count = elementsOf(input);
    const keyCount = this.#sizes.queryDim * padded(context.tokens) * context.batch;
    const kept: GpuBuffer[] = [];
    const keep = (name: string, elements: number): GPUBuffer => {
      kept.push(this.device.memory.createStorage(name, 4 * elements));
      return kept.at(-1)!.buffer;
    };
    const release = (): void => kept.splice(0).forEach((buffer) => buffer.release());
    try {
      const saved = await this.#submissions.run({
        record: (recorder) => {
          const output = storage?.buffer ?? this.#scratch.take('output', 4 * count);
          const ofCall: Saved = {
            query: keep('query', count),
            key: keep('key', keyCount),
            value: keep('value', keyCount),
            attended: keep('attended', count),
            logSumExp: keep('logSumExp', input.batch * this.#sizes.numHeads * input.tokens),
          };
          const rows = { first: 0, count: input.batch };
          const firsts = { input: 0, context: 0, output: 0 };
          const places = { ...this.#places(call, operands), output };
          recordForward(this.#with(recorder), weights, call, rows, firsts, places, ofCall);
          return { ofCall, output };
        },
        upload: () => this.#uploadAll(operands),
        read: async ({ ofCall, output }) => {
          values?.set(await this.device.read(output, 0, 4 * count));
          return ofCall;
        },
      });
      const held = weights.share();
      return {
        call,
        operands,
        weights: held,
        saved,
        release: () => {
          release();
          held.release();
        },
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** What `work` does with a result's place: a buffer on the card, or numbers that it fills. */
  async #withTarget<T>(
    name: string,
    elements: number,
    resident: boolean,
    work: (storage: GpuBuffer | null, values: Float32Array | null) => Promise<T>,
  ): Promise<{ result: Result; done: T }> {
    if (!resident) {
      const values = new Float32Array(elements);
      return { done: await work(null, values), result: { values } };
    }
    const storage = await this.device.allocate(name, 4 * elements);
    try {
      return { done: await work(storage, null), result: { storage } };
    } catch (error) {
      storage.release();
      throw error;
    }
  }

  /** What `work` gives, with the weights of these parameters, uploaded now where they are not there yet. */
  async #withWeights<T>(parameters: ParameterState, work: (weights: Weights) => Promise<T>): Promise<T> {
    const weights = this.#weightsOf(parameters);
    try {
      await weights.ready;
      return await work(weights);
    } catch (error) {
      // What was uploaded or packed may not have arrived.
      if (this.#weights === weights) {
        this.#weights = null;
        weights.release();
      }
      throw error;
    } finally {
      weights.release();
    }
  }

  /** The caller's until release. */
  #weightsOf({ version, values }: ParameterState): Weights {
    if (this.#owners === 0) throw new DeviceError('the layer was disposed of');
    if (this.#weights === null || this.#weightsVersion !== version) {
      this.#weights?.release();
      this.#weights = new Weights(this.device, this.#sizes, this.#precision, values());
      this.#weightsVersion = version;
    }
    return this.#weights.share();
  }

  #with(recorder: Recorder): Recording {
    const { device } = this;
    return { device, recorder, scratch: this.#scratch, strategy: this.#strategy, sizes: this.#sizes };
  }

  /** Where kernels find whole tensors. */
  #places(
    { input, context, mask }: CallSizes,
    operands: Operands,
  ): { input: GPUBuffer; context: GPUBuffer | null; mask: GPUBuffer | null } {
    const place = (name: keyof Operands, elements: number): GPUBuffer | null => {
      const operand = operands[name];
      return operand && placeOf(this.#scratch, name, operand, elements);
    };
    return {
      input: place('input', elementsOf(input))!,
      context: place('context', elementsOf(context)),
      mask: place('mask', mask.elements),
    };
  }

  #uploadAll({ input, context, mask }: Operands): void {
    this.#upload('input', input);
    this.#upload('context', context);
    this.#upload('mask', mask);
  }

  #upload(name: string, operand: Operand | null, first = 0, count = Infinity): void {
    uploadOperand(this.device, this.#scratch, name, operand, first, count);
  }
}
