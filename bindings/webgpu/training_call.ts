// A training forward, which stores what its backward pass needs on the device, and that backward pass.
import { type GradientBuffers, recordBackward } from './backward';
import type { CallSizes } from './call';
import { padded, recordForward, type Saved } from './forward';
import type { Recorded } from './group_sums';
import type { LayerResources } from './layer_resources';
import type { GpuBuffer } from './memory';
import { elementsOf, type Operand, operandBuffer, type Operands, type Result } from './operands';
import type { Binding } from './recorder';
import { innerDim, parameterCounts, type ParameterName, type Weights } from './weights';

/** What a training forward stores on the device. */
export interface SavedCall {
  readonly call: CallSizes;
  readonly operands: Operands;
  readonly weights: Weights;
  readonly saved: Saved;
  release(): void;
}

export interface BackwardResult {
  inputGradient: Result;
  /** Null for self-attention. */
  contextGradient: Float32Array | null;
  /** In the order of the parameters. */
  parameterGradients: Float32Array[];
}

/**
 * Computes `result` for the whole batch. Resolves to what the backward pass needs, and to the sums if the
 * call is recorded.
 */
export async function trainingForward(
  resources: LayerResources,
  call: CallSizes,
  operands: Operands,
  weights: Weights,
  result: Result,
  recorded: Recorded | null,
): Promise<{ saved: SavedCall; sums: Float32Array | null }> {
  const { device, sizes, submissions } = resources;
  const { input, context } = call;
  const count = elementsOf(call.output);
  const queryCount = innerDim(sizes) * input.tokens * input.batch;
  const keyCount = innerDim(sizes) * padded(context.tokens) * context.batch;
  const buffers: GpuBuffer[] = [];
  const create = (name: string, elements: number): GPUBuffer => {
    buffers.push(device.memory.createStorage(name, 4 * elements));
    return buffers.at(-1)!.buffer;
  };
  const releaseBuffers = (): void => buffers.splice(0).forEach((buffer) => buffer.release());
  try {
    const { saved, values } = await submissions.run({
      record: (recorder) => {
        const output = resources.resultBuffer(result, 'output', count);
        const savedBuffers: Saved = {
          query: create('query', queryCount),
          key: create('key', keyCount),
          value: create('value', keyCount),
          attended: create('attended', queryCount),
          logSumExp: create('logSumExp', input.batch * sizes.numHeads * input.tokens),
        };
        const rows = { first: 0, count: input.batch };
        const firsts = { input: 0, context: 0, output: 0 };
        const callBuffers = { ...resources.inputBuffers(call, operands), output };
        const sums = recorded && resources.groupSums(call, recorded, rows, savedBuffers);
        const recording = resources.recording(recorder);
        recordForward(recording, weights, call, rows, firsts, callBuffers, savedBuffers, sums);
        return { savedBuffers, output, sums };
      },
      upload: () => {
        resources.uploadAll(operands);
        resources.uploadKeys(recorded);
      },
      read: async ({ savedBuffers, output, sums }) => {
        const [values] = await Promise.all([
          sums && resources.readSums(call, sums),
          resources.readResult(result, output, count),
        ]);
        return { saved: savedBuffers, values };
      },
    });
    const sharedWeights = weights.share();
    const release = (): void => {
      releaseBuffers();
      sharedWeights.release();
    };
    return { saved: { call, operands, weights: sharedWeights, saved, release }, sums: values };
  } catch (error) {
    releaseBuffers();
    throw error;
  }
}

/** Resolves to all gradients of a training forward. `resident`: true for an input gradient in GPU memory. */
export async function trainingBackward(
  resources: LayerResources,
  { call, operands, weights, saved }: SavedCall,
  outputGradient: Operand,
  resident: boolean,
): Promise<BackwardResult> {
  const { device, scratch, sizes, submissions } = resources;
  const { input, context, isSelfAttention } = call;
  const counts = parameterCounts(sizes);
  const count = elementsOf(input);
  const take = (name: string, elements: number): GPUBuffer =>
    scratch.take(`gradient of ${name}`, 4 * elements);
  const { result, done } = await resources.withResult('input gradient', count, resident, (inputGradient) =>
    submissions.run({
      record: (recorder) => {
        const gradients: GradientBuffers = {
          outputGradient: operandBuffer(scratch, 'output gradient', outputGradient, elementsOf(call.output)),
          inputGradient: resources.resultBuffer(inputGradient, 'gradient of input', count),
          contextGradient: isSelfAttention ? null : take('context', elementsOf(context)),
          parameters: Object.fromEntries(
            counts.map(([name, elements]) => [name, { buffer: take(name, elements) }]),
          ) as Partial<Record<ParameterName, Binding>>,
        };
        const inputs = resources.inputBuffers(call, operands);
        recordBackward(resources.recording(recorder), weights, call, inputs, saved, gradients);
        return gradients;
      },
      upload: () => {
        resources.upload('output gradient', outputGradient);
        resources.uploadAll(operands);
      },
      read: async ({ inputGradient: inputBuffer, contextGradient, parameters }) => {
        const [, ofContext, ...ofParameters] = await Promise.all([
          resources.readResult(inputGradient, inputBuffer, count),
          contextGradient && device.read(contextGradient, 0, 4 * elementsOf(context)),
          ...counts.map(([name, elements]) => device.read(parameters[name]!.buffer, 0, 4 * elements)),
        ]);
        return { contextGradient: ofContext, parameterGradients: ofParameters };
      },
    }),
  );
  return { inputGradient: result, ...done };
}
