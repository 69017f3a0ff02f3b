// Calls with a constant context: preparing it, and runs with it.
import type { CallSizes } from './call';
import type { LayerResources } from './layer_resources';
import { elementsOf, type Operand, operandBuffer, type Result } from './operands';
import {
  type Association,
  preparedBytes,
  PreparedContext,
  recordContext,
  recordRun,
} from './prepared_context';
import type { Weights } from './weights';

/** Resolves to a context for any number of runs, which belongs to the caller. */
export async function prepareContext(
  resources: LayerResources,
  call: CallSizes,
  context: Operand,
  weights: Weights,
  association: Association,
): Promise<PreparedContext> {
  const { device, scratch, submissions } = resources;
  const bytes = preparedBytes(resources.sizes, call, association);
  const key = await device.allocate('prepared keys', bytes);
  const value = await device.allocate('prepared values', bytes).catch((error: unknown) => {
    key.release();
    throw error;
  });
  const prepared = new PreparedContext(association, key, value, weights);
  try {
    return await submissions.run({
      record: (recorder) => {
        const buffer = operandBuffer(scratch, 'context', context, elementsOf(call.context));
        recordContext(resources.recording(recorder), prepared, call, buffer);
      },
      upload: () => resources.upload('context', context),
      read: () => prepared,
    });
  } catch (error) {
    prepared.release();
    throw error;
  }
}

/** Resolves to the output of a run with a prepared context. */
export async function runWithContext(
  resources: LayerResources,
  call: CallSizes,
  prepared: PreparedContext,
  input: Operand,
  mask: Operand | null,
  resident: boolean,
): Promise<Result> {
  const count = elementsOf(call.output);
  const operands = { input, context: null, mask };
  const { result } = await resources.withResult('output', count, resident, (target) =>
    resources.submissions.run({
      record: (recorder) => {
        const output = resources.resultBuffer(target, 'output', count);
        const { input: inputBuffer, mask: maskBuffer } = resources.inputBuffers(call, operands);
        const buffers = { input: inputBuffer, mask: maskBuffer, output };
        recordRun(resources.recording(recorder), call, prepared, buffers);
        return output;
      },
      upload: () => resources.uploadAll(operands),
      read: (output) => resources.readResult(target, output, count),
    }),
  );
  return result;
}
