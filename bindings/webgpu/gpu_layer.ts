// A layer on a device: its weights there, and its calls.
import { DeviceError } from '../package/errors';
import { batchGroups } from './batch_groups';
import type { CallSizes } from './call';
import { prepareContext, runWithContext } from './context_call';
import type { Device } from './device';
import type { Recorded } from './group_sums';
import { computeRows } from './inference_call';
import { LayerResources } from './layer_resources';
import { elementsOf, type Operand, type Operands, type Result } from './operands';
import type { Association, PreparedContext } from './prepared_context';
import type { Strategy } from './recording';
import { Shared } from './shared';
import { type BackwardResult, type SavedCall, trainingBackward, trainingForward } from './training_call';
import type { LayerSizes } from '../package/accelerator';
import { type Precision, Weights } from './weights';

/** The layer's parameters. `version` changes whenever they do. */
export interface ParameterState {
  version: number;
  values: () => Float32Array;
}

export interface ForwardResult {
  result: Result;
  /** Null unless the forward was in training mode. */
  saved: SavedCall | null;
  /** Sums of a recorded call, [rows][groups][tokens] in parts. */
  sums: Float32Array[];
}

/**
 * All calls throw DeviceError or OutOfMemoryError, and use the parameters at the time of the call. A call in
 * progress is an owner, so that its resources exist until it ends.
 */
export class GpuLayer extends Shared {
  readonly #resources: LayerResources;
  readonly #precision: Precision;
  #weights: Weights | null = null;
  #weightsVersion = -1;

  constructor(device: Device, sizes: LayerSizes, precision: Precision, strategy: Strategy) {
    super();
    this.#resources = new LayerResources(device, sizes, strategy);
    this.#precision = precision;
  }

  get device(): Device {
    return this.#resources.device;
  }

  /**
   * `training`: true to store what a backward pass needs. `resident`: true for an output in GPU memory.
   * `recorded`: what is recorded, if anything.
   */
  async forward(
    call: CallSizes,
    operands: Operands,
    parameters: ParameterState,
    {
      training,
      resident,
      recorded = null,
    }: { training: boolean; resident: boolean; recorded?: Recorded | null },
  ): Promise<ForwardResult> {
    const resources = this.#resources;
    const groups = batchGroups(resources.device, resources.sizes, call, training);
    return this.#withWeights(parameters, async (weights) => {
      const count = elementsOf(call.output);
      const { result, done } = await resources.withResult('output', count, resident, async (target) => {
        if (training) {
          const { saved, sums } = await trainingForward(resources, call, operands, weights, target, recorded);
          return { saved, sums: sums ? [sums] : [] };
        }
        const parts: Float32Array[] = [];
        for (const rows of groups) {
          const sums = await computeRows(resources, call, operands, weights, rows, target, recorded);
          if (sums) parts.push(sums);
        }
        return { saved: null, sums: parts };
      });
      return { result, ...done };
    });
  }

  /**
   * Resolves to all gradients of a training forward. `resident`: true for an input gradient in GPU memory.
   */
  backward(saved: SavedCall, outputGradient: Operand, resident: boolean): Promise<BackwardResult> {
    return trainingBackward(this.#resources, saved, outputGradient, resident);
  }

  /** Resolves to a constant context for any number of runs, which belongs to the caller. */
  async prepareContext(
    call: CallSizes,
    context: Operand,
    parameters: ParameterState,
    association: Association,
  ): Promise<PreparedContext> {
    const resources = this.#resources;
    batchGroups(resources.device, resources.sizes, call, true);
    return this.#withWeights(parameters, (weights) =>
      prepareContext(resources, call, context, weights, association),
    );
  }

  /**
   * Resolves to the output of a run with a prepared context. `resident`: true for an output in GPU memory.
   */
  run(
    call: CallSizes,
    context: PreparedContext,
    input: Operand,
    mask: Operand | null,
    resident: boolean,
  ): Promise<Result> {
    return runWithContext(this.#resources, call, context, input, mask, resident);
  }

  protected override free(): void {
    this.#weights?.release();
    this.#weights = null;
    this.#resources.dispose();
  }

  /** Calls `work` with the weights of these parameters; uploads them first if they are not on the device. */
  async #withWeights<T>(parameters: ParameterState, work: (weights: Weights) => Promise<T>): Promise<T> {
    const weights = this.#shareWeights(parameters);
    try {
      await weights.ready;
      return await work(weights);
    } catch (error) {
      // The upload or packing may have failed: the next call repeats it.
      if (this.#weights === weights) {
        this.#weights = null;
        weights.release();
      }
      throw error;
    } finally {
      weights.release();
    }
  }

  /** Returns the weights of these parameters with the caller as an owner. */
  #shareWeights({ version, values }: ParameterState): Weights {
    if (this.isFreed) throw new DeviceError('the layer was disposed');
    if (this.#weights === null || this.#weightsVersion !== version) {
      this.#weights?.release();
      this.#weights = new Weights(this.#resources.device, this.#resources.sizes, this.#precision, values());
      this.#weightsVersion = version;
    }
    return this.#weights.share();
  }
}
