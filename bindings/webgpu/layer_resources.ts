// What the calls of a layer share on a device: scratch buffers, the queue of submissions, uploads and
// results.
import type { BatchRows, CallSizes } from './call';
import type { Device } from './device';
import type { InputBuffers, Saved } from './forward';
import { type GroupSums, packKeys, type Recorded, recordedRows } from './group_sums';
import {
  elementsOf,
  type Operand,
  operandBuffer,
  type Operands,
  type Result,
  uploadOperand,
} from './operands';
import type { Recorder } from './recorder';
import type { Recording, Strategy } from './recording';
import { Scratch } from './scratch';
import { Submissions } from './submissions';
import type { LayerSizes } from '../package/accelerator';

export class LayerResources {
  readonly device: Device;
  readonly sizes: LayerSizes;
  readonly scratch: Scratch;
  readonly submissions: Submissions;
  readonly #strategy: Strategy;

  constructor(device: Device, sizes: LayerSizes, strategy: Strategy) {
    this.device = device;
    this.sizes = sizes;
    this.#strategy = strategy;
    this.scratch = new Scratch(device);
    this.submissions = new Submissions(device, this.scratch);
  }

  recording(recorder: Recorder): Recording {
    const { device, scratch, sizes } = this;
    return { device, recorder, scratch, sizes, strategy: this.#strategy };
  }

  /** Returns the buffers of a call's whole operands. */
  inputBuffers({ input, context, mask }: CallSizes, operands: Operands): InputBuffers {
    const bufferOf = (name: keyof Operands, elements: number): GPUBuffer | null => {
      const operand = operands[name];
      return operand && operandBuffer(this.scratch, name, operand, elements);
    };
    return {
      input: bufferOf('input', elementsOf(input))!,
      context: bufferOf('context', elementsOf(context)),
      mask: bufferOf('mask', mask.elements),
    };
  }

  /**
   * Uploads `count` elements of an operand from `first` on to the scratch buffer `name`, unless it is
   * resident or null.
   */
  upload(name: string, operand: Operand | null, first = 0, count = Infinity): void {
    uploadOperand(this.device, this.scratch, name, operand, first, count);
  }

  uploadAll({ input, context, mask }: Operands): void {
    this.upload('input', input);
    this.upload('context', context);
    this.upload('mask', mask);
  }

  /** Returns the buffers of the sums of some batch rows; null if none of these is recorded. */
  groupSums(
    { input }: CallSizes,
    recorded: Recorded,
    rows: BatchRows,
    saved: Pick<Saved, 'logSumExp'> | null,
  ): GroupSums | null {
    const groups = recorded.groups.length;
    const { first, count } = recordedRows(recorded, rows);
    if (count === 0 || input.tokens === 0) return null;
    const take = (name: string, elements: number): GPUBuffer => this.scratch.take(name, 4 * elements);
    return {
      groups,
      firstRow: first,
      rows: count,
      logSumExp: saved?.logSumExp ?? take('logSumExp', rows.count * this.sizes.numHeads * input.tokens),
      keys: take('group keys', packKeys(recorded).length),
      sums: take('group sums', count * groups * input.tokens),
    };
  }

  /** Uploads the keys of a recorded call. */
  uploadKeys(recorded: Recorded | null): void {
    if (recorded) this.upload('group keys', { values: () => packKeys(recorded) });
  }

  /** Resolves to sums [rows][groups][tokens]. */
  readSums({ input }: CallSizes, { groups, rows, sums }: GroupSums): Promise<Float32Array> {
    return this.device.read(sums, 0, 4 * rows * groups * input.tokens);
  }

  /**
   * Creates a result and calls `work` to compute it. Resolves to both; frees the result if `work` fails.
   * `resident`: true for a result in GPU memory.
   */
  async withResult<T>(
    name: string,
    elements: number,
    resident: boolean,
    work: (result: Result) => Promise<T>,
  ): Promise<{ result: Result; done: T }> {
    if (!resident) {
      const result = { values: new Float32Array(elements) };
      return { result, done: await work(result) };
    }
    const storage = await this.device.allocate(name, 4 * elements);
    try {
      const result = { storage };
      return { result, done: await work(result) };
    } catch (error) {
      storage.release();
      throw error;
    }
  }

  /** Returns the buffer that a call computes a result in: the result's own, or the scratch buffer `name`. */
  resultBuffer(result: Result, name: string, elements: number): GPUBuffer {
    return 'storage' in result ? result.storage.buffer : this.scratch.take(name, 4 * elements);
  }

  /**
   * Copies `elements` numbers from the start of a result's buffer to its array, from `first` on, if it has
   * one.
   */
  async readResult(result: Result, buffer: GPUBuffer, elements: number, first = 0): Promise<void> {
    if ('storage' in result) return;
    result.values.set(await this.device.read(buffer, 0, 4 * elements), first);
  }

  /** Frees all memory when all calls in the queue are submitted. */
  dispose(): void {
    this.submissions.dispose();
  }
}
