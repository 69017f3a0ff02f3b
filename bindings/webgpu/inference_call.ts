// A forward call without a backward pass, in groups of batch rows.
import type { BatchRows, CallSizes } from './call';
import { recordForward } from './forward';
import type { Recorded } from './group_sums';
import type { LayerResources } from './layer_resources';
import { isResident, operandBuffer, type Operands, type Result } from './operands';
import type { Weights } from './weights';

/** Computes some batch rows of `result`. Resolves to their sums if the call is recorded. */
export async function computeRows(
  resources: LayerResources,
  call: CallSizes,
  operands: Operands,
  weights: Weights,
  rows: BatchRows,
  result: Result,
  recorded: Recorded | null,
): Promise<Float32Array | null> {
  const { scratch } = resources;
  const { input, context, mask } = operands;
  const contextRows = call.context.batch === 1 ? { first: 0, count: 1 } : rows;
  const inputRow = call.input.tokens * call.input.channels;
  const outputRow = call.output.tokens * call.output.channels;
  const contextRow = call.context.tokens * call.context.channels;
  // Scratch buffers contain only the rows of this group.
  const firsts = {
    input: isResident(input) ? rows.first : 0,
    context: context && isResident(context) ? contextRows.first : 0,
    output: 'storage' in result ? rows.first : 0,
  };
  return resources.submissions.run({
    record: (recorder) => {
      const buffers = {
        input: operandBuffer(scratch, 'input', input, inputRow * rows.count),
        context: context && operandBuffer(scratch, 'context', context, contextRow * contextRows.count),
        mask: mask && operandBuffer(scratch, 'mask', mask, call.mask.elements),
        output: resources.resultBuffer(result, 'output', outputRow * rows.count),
      };
      const sums = recorded && resources.groupSums(call, recorded, rows, null);
      recordForward(resources.recording(recorder), weights, call, rows, firsts, buffers, null, sums);
      return { output: buffers.output, sums };
    },
    upload: () => {
      resources.upload('input', input, rows.first * inputRow, rows.count * inputRow);
      resources.upload('context', context, contextRows.first * contextRow, contextRows.count * contextRow);
      resources.upload('mask', mask);
      resources.uploadKeys(recorded);
    },
    read: async ({ output, sums }) => {
      const [values] = await Promise.all([
        sums && resources.readSums(call, sums),
        resources.readResult(result, output, outputRow * rows.count, rows.first * outputRow),
      ]);
      return values;
    },
  });
}
