// A layer on the graphics card: what it keeps there, and its calls, one after another.
import type { Strategy } from './attention';
import { type BatchRows, padded, recordForward, type Saved } from './forward';
import { type GradientBuffers, recordBackward } from './backward';
import type { CallSizes, TokenLayout } from './call';
import { type Device, DeviceError, LimitError } from './device';
import { type Association, keptBytes, type KeptContext, recordContext, recordRun } from './folded';
import type { GpuBuffer } from './memory';
import { ParameterBuffers, Recorder } from './recorder';
import { Scratch } from './scratch';
import { type LayerSizes, parameterCounts, type ParameterName, type Precision, Weights } from './weights';

/** A tensor of a call: in GPU memory, or numbers that are uploaded when their turn comes. */
export type Operand = { resident: GPUBuffer } | { values: () => Float32Array | Uint32Array };

export interface Operands {
  input: Operand;
  /** Null for self-attention. */
  context: Operand | null;
  mask: Operand | null;
}

/** The parameters at the time of the call. */
export interface ParameterState {
  version: number;
  values: () => Float32Array;
}

/** Where the result is wanted: numbers, or a buffer that the caller owns. */
export type Result = { values: Float32Array } | { storage: GpuBuffer };

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
  saved: SavedCall | null;
}

export interface BackwardResult {
  inputGradient: Result;
  /** Null for self-attention. */
  contextGradient: Float32Array | null;
  /** In the order of the parameters. */
  parameterGradients: Float32Array[];
}

const elementsOf = ({ batch, tokens, channels }: TokenLayout): number => batch * tokens * channels;

export class GpuLayer {
  readonly #device: Device;
  readonly #sizes: LayerSizes;
  readonly #precision: Precision;
  readonly #strategy: Strategy;
  readonly #scratch: Scratch;
  readonly #parameters: ParameterBuffers;
  #weights: Weights | null = null;
  #weightsVersion = -1;
  /** Recording and submitting go one after another, for calls share their scratch. */
  #turn: Promise<unknown> = Promise.resolve();
  #owners = 1;

  constructor(device: Device, sizes: LayerSizes, precision: Precision, strategy: Strategy) {
    this.#device = device;
    this.#sizes = sizes;
    this.#precision = precision;
    this.#strategy = strategy;
    this.#scratch = new Scratch(device);
    this.#parameters = new ParameterBuffers(device);
  }

  get device(): Device {
    return this.#device;
  }

  /** The bytes of what it works in. */
  get scratchBytes(): number {
    return this.#scratch.bytes;
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
    const weights = this.#weightsOf(parameters);
    try {
      await weights.ready;
      if (keeps) return await this.#forwardKept(call, operands, weights, resident);
      const output = resident ? await this.#device.allocate('output', 4 * elementsOf(call.input)) : null;
      const values = resident ? null : new Float32Array(elementsOf(call.input));
      try {
        for (const rows of groups) await this.#forwardRows(call, operands, weights, rows, output, values);
      } catch (error) {
        output?.release();
        throw error;
      }
      return { result: output ? { storage: output } : { values: values! }, saved: null };
    } finally {
      weights.release();
    }
  }

  /** All gradients of a training forward. */
  async backward(
    { call, operands, weights, saved }: SavedCall,
    outputGradient: Operand,
    resident: boolean,
  ): Promise<BackwardResult> {
    const device = this.#device;
    const { input, context, isSelfAttention } = call;
    const counts = parameterCounts(this.#sizes);
    const inputBytes = 4 * elementsOf(input);
    const storage = resident ? await device.allocate('input gradient', inputBytes) : null;
    try {
      const reads = await this.#inTurn(async () => {
        const { record, submit } = this.#recording();
        const gradients = await record((recorder) => {
          const take = (name: string, count: number): GPUBuffer =>
            this.#scratch.take(`gradient of ${name}`, 4 * count);
          const buffers: GradientBuffers = {
            outputGradient: this.#placeOf('output gradient', outputGradient, inputBytes),
            inputGradient: storage?.buffer ?? take('input', elementsOf(input)),
            contextGradient: isSelfAttention ? null : take('context', elementsOf(context)),
            parameters: Object.fromEntries(
              counts.map(([name, count]) => [name, take(name, count)]),
            ) as Record<ParameterName, GPUBuffer>,
          };
          const inputs = {
            input: this.#placeOf('input', operands.input, inputBytes),
            context: operands.context && this.#placeOf('context', operands.context, 4 * elementsOf(context)),
            mask: operands.mask && this.#placeOf('mask', operands.mask, 4 * call.mask.elements),
          };
          recordBackward(
            device,
            recorder,
            this.#scratch,
            this.#strategy,
            this.#sizes,
            weights,
            call,
            inputs,
            saved,
            buffers,
          );
          return buffers;
        });
        const uploads = [
          ['output gradient', outputGradient],
          ['input', operands.input],
          ['context', operands.context],
          ['mask', operands.mask],
        ] as const;
        return submit(
          () => uploads.forEach(([name, operand]) => this.#upload(name, operand, 0, Infinity)),
          () =>
            Promise.all([
              storage === null ? device.read(gradients.inputGradient, 0, inputBytes) : null,
              gradients.contextGradient && device.read(gradients.contextGradient, 0, 4 * elementsOf(context)),
              ...counts.map(([name, count]) => device.read(gradients.parameters[name], 0, 4 * count)),
            ]),
        );
      });
      const [inputGradient, contextGradient, ...parameterGradients] = await reads.done;
      return {
        inputGradient: storage ? { storage } : { values: inputGradient! },
        contextGradient: contextGradient ?? null,
        parameterGradients: parameterGradients as Float32Array[],
      };
    } catch (error) {
      storage?.release();
      throw error;
    }
  }

  /** A context that stays the same, ready for any number of runs; the caller's until release. */
  async keepContext(
    call: CallSizes,
    context: Operand,
    parameters: ParameterState,
    association: Association,
  ): Promise<KeptContext> {
    this.#groups(call, true);
    const weights = this.#weightsOf(parameters);
    const buffers: GpuBuffer[] = [];
    let kept: KeptContext | null = null;
    try {
      await weights.ready;
      const bytes = keptBytes(this.#sizes, call, association);
      for (const name of ['kept keys', 'kept values']) buffers.push(await this.#device.allocate(name, bytes));
      const [key, value] = buffers as [GpuBuffer, GpuBuffer];
      const { done } = await this.#inTurn(async () => {
        const { record, submit } = this.#recording();
        await record((recorder) => {
          const place = this.#placeOf('context', context, 4 * elementsOf(call.context));
          kept = recordContext(
            recorder,
            this.#scratch,
            this.#strategy,
            this.#sizes,
            weights,
            call,
            place,
            association,
            key,
            value,
          );
        });
        return submit(
          () => this.#upload('context', context, 0, Infinity),
          () => Promise.resolve(),
        );
      });
      await done;
      return kept!;
    } catch (error) {
      if (kept === null) buffers.forEach((buffer) => buffer.release());
      else (kept as KeptContext).release();
      throw error;
    } finally {
      weights.release();
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
    const bytes = 4 * elementsOf(call.input);
    const storage = resident ? await this.#device.allocate('output', bytes) : null;
    try {
      const { done } = await this.#inTurn(async () => {
        const { record, submit } = this.#recording();
        const output = await record((recorder) => {
          const target = storage?.buffer ?? this.#scratch.take('output', bytes);
          recordRun(this.#device, recorder, this.#scratch, this.#strategy, this.#sizes, call, kept, {
            input: this.#placeOf('input', input, bytes),
            mask: mask && this.#placeOf('mask', mask, 4 * call.mask.elements),
            output: target,
          });
          return target;
        });
        return submit(
          () => {
            this.#upload('input', input, 0, Infinity);
            this.#upload('mask', mask, 0, Infinity);
          },
          () => (storage ? Promise.resolve(null) : this.#device.read(output, 0, bytes)),
        );
      });
      const values = await done;
      return storage ? { storage } : { values: values! };
    } catch (error) {
      storage?.release();
      throw error;
    }
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
    // What is recorded and not yet submitted needs its buffers.
    void this.#turn.finally(() => {
      this.#scratch.dispose();
      this.#parameters.dispose();
    });
  }

  /** Batch rows that fit the device's buffers at a time. Throws DeviceError where a single one does not. */
  #groups({ input, context, mask }: CallSizes, keeps: boolean): BatchRows[] {
    const { limits } = this.#device.gpu;
    const { queryDim, numHeads } = this.#sizes;
    const most = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
    const keys = padded(context.tokens);
    const ofRow =
      4 *
      Math.max(
        queryDim * input.tokens,
        queryDim * keys,
        context.tokens * context.channels,
        numHeads * keys * Math.min(64, input.tokens),
      );
    const atOnce = Math.min(
      Math.floor(most / ofRow),
      Math.floor(limits.maxComputeWorkgroupsPerDimension / numHeads),
    );
    const takes = (what: string, bytes: number): never => {
      throw new LimitError(`${what} needs ${bytes} bytes in one buffer; the device takes ${most}`);
    };
    if (atOnce < 1) takes('one batch row', ofRow);
    if (4 * mask.elements > most) takes('the mask', 4 * mask.elements);
    if (keeps && atOnce < input.batch) takes('training', ofRow * input.batch);
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
    output: GpuBuffer | null,
    values: Float32Array | null,
  ): Promise<void> {
    const { input, context } = call;
    const inputRow = elementsOf({ ...input, batch: 1 });
    const contextRows = context.batch === 1 ? { first: 0, count: 1 } : rows;
    const contextRow = elementsOf({ ...context, batch: 1 });
    const { done } = await this.#inTurn(async () => {
      const { record, submit } = this.#recording();
      const target = await record((recorder) => {
        const buffer = output?.buffer ?? this.#scratch.take('output', 4 * inputRow * rows.count);
        const places = {
          input: this.#placeOf('input', operands.input, 4 * inputRow * rows.count),
          context:
            operands.context &&
            this.#placeOf('context', operands.context, 4 * contextRow * contextRows.count),
          mask: operands.mask && this.#placeOf('mask', operands.mask, 4 * call.mask.elements),
          output: buffer,
        };
        const firsts = {
          input: isResident(operands.input) ? rows.first : 0,
          context: operands.context && isResident(operands.context) ? contextRows.first : 0,
          output: output ? rows.first : 0,
        };
        recordForward(
          this.#device,
          recorder,
          this.#scratch,
          this.#strategy,
          this.#sizes,
          weights,
          call,
          rows,
          firsts,
          places,
          null,
        );
        return buffer;
      });
      return submit(
        () => {
          this.#upload('input', operands.input, rows.first * inputRow, rows.count * inputRow);
          this.#upload(
            'context',
            operands.context,
            contextRows.first * contextRow,
            contextRows.count * contextRow,
          );
          this.#upload('mask', operands.mask, 0, Infinity);
        },
        async () => {
          if (values === null) return;
          values.set(await this.#device.read(target, 0, 4 * inputRow * rows.count), rows.first * inputRow);
        },
      );
    });
    await done;
  }

  async #forwardKept(
    call: CallSizes,
    operands: Operands,
    held: Weights,
    resident: boolean,
  ): Promise<ForwardResult> {
    const { input, context } = call;
    const { queryDim, numHeads } = this.#sizes;
    const bytes = 4 * elementsOf(input);
    const kept: GpuBuffer[] = [];
    const keep = (name: string, size: number): GPUBuffer => {
      kept.push(this.#device.memory.createStorage(name, size));
      return kept.at(-1)!.buffer;
    };
    const release = (): void => kept.splice(0).forEach((buffer) => buffer.release());
    const storage = resident ? await this.#device.allocate('output', bytes) : null;
    try {
      const { done, saved } = await this.#inTurn(async () => {
        const { record, submit } = this.#recording();
        const recorded = await record((recorder) => {
          const keyBytes = 4 * queryDim * padded(context.tokens) * context.batch;
          const target = storage?.buffer ?? this.#scratch.take('output', bytes);
          const ofCall: Saved = {
            query: keep('query', bytes),
            key: keep('key', keyBytes),
            value: keep('value', keyBytes),
            attended: keep('attended', bytes),
            logSumExp: keep('logSumExp', 4 * input.batch * numHeads * input.tokens),
          };
          const places = {
            input: this.#placeOf('input', operands.input, bytes),
            context: operands.context && this.#placeOf('context', operands.context, 4 * elementsOf(context)),
            mask: operands.mask && this.#placeOf('mask', operands.mask, 4 * call.mask.elements),
            output: target,
          };
          const rows = { first: 0, count: input.batch };
          const firsts = { input: 0, context: 0, output: 0 };
          recordForward(
            this.#device,
            recorder,
            this.#scratch,
            this.#strategy,
            this.#sizes,
            held,
            call,
            rows,
            firsts,
            places,
            ofCall,
          );
          return { ofCall, target };
        });
        const submitted = submit(
          () =>
            (['input', 'context', 'mask'] as const).forEach((name) =>
              this.#upload(name, operands[name], 0, Infinity),
            ),
          () => (storage ? Promise.resolve(null) : this.#device.read(recorded.target, 0, bytes)),
        );
        return { ...submitted, saved: recorded.ofCall };
      });
      const values = await done;
      const weights = held.share();
      return {
        result: storage ? { storage } : { values: values! },
        saved: {
          call,
          operands,
          weights,
          saved,
          release: () => {
            release();
            weights.release();
          },
        },
      };
    } catch (error) {
      storage?.release();
      release();
      throw error;
    }
  }

  /** The weights of these parameters, uploaded now where they are not there yet; the caller's until release. */
  #weightsOf({ version, values }: ParameterState): Weights {
    if (this.#owners === 0) throw new DeviceError('the layer was disposed of');
    if (this.#weights !== null && this.#weightsVersion === version) return this.#weights.share();
    this.#weights?.release();
    const weights = new Weights(this.#device, this.#sizes, this.#precision, values());
    this.#weights = weights;
    this.#weightsVersion = version;
    weights.ready.catch(() => {
      if (this.#weights !== weights) return;
      this.#weights = null;
      weights.release();
    });
    return weights.share();
  }

  /** Where kernels find an operand: its own buffer, or scratch that `#upload` fills. */
  #placeOf(name: string, operand: Operand, bytes: number): GPUBuffer {
    return isResident(operand) ? operand.resident : this.#scratch.take(name, bytes);
  }

  /** Elements of an operand into the scratch of its name. */
  #upload(name: string, operand: Operand | null, first: number, count: number): void {
    if (operand === null || isResident(operand)) return;
    const values = operand.values();
    const part = values.subarray(first, Math.min(values.length, first + count));
    this.#device.upload(this.#scratch.take(name, part.byteLength), 0, part);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Recording, then submitting, each under the device's eye: what is allocated, what is done. */
  #recording(): {
    record: <T>(work: (recorder: Recorder) => T) => Promise<T>;
    submit: <T>(upload: () => void, read: () => Promise<T>) => { done: Promise<T> };
  } {
    const recorder = new Recorder(this.#device, this.#parameters);
    let submitCommands = (): void => {};
    return {
      record: async (work) => {
        try {
          const result = await this.#device.guarded(async () => work(recorder));
          submitCommands = await recorder.ready();
          return result;
        } catch (error) {
          // A buffer that could not be had must not be found there next time.
          this.#scratch.dispose();
          throw error;
        }
      },
      submit: (upload, read) => {
        const done = this.#device.guarded(async () => {
          upload();
          submitCommands();
          return read();
        });
        done.catch(() => this.#parameters.dispose());
        return { done };
      },
    };
  }
}

const isResident = (operand: Operand): operand is { resident: GPUBuffer } => 'resident' in operand;
