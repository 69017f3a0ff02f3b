// The layer itself, with the commands of its own forward and backward (../../forward, ../../backward).
import { recordBackward } from '../../backward';
import { callSizes } from '../../call';
import { padded, recordForward, type Saved } from '../../forward';
import { plainLayer } from '../../layer_support';
import type { Binding } from '../../recorder';
import type { LayerWeights, WeightName } from '../../weights';
import { sizeOf, type Tape, type Value } from '../tape';
import { rowsOf } from './linear';
import { passOn } from './sums';

export type AttentionParameters = Record<WeightName | 'bias', Value>;

export interface AttentionMask {
  shape: readonly number[];
  buffer: GPUBuffer;
}

const weightsOf = (parameters: AttentionParameters): LayerWeights => ({
  pack: () => {},
  matrix: (name) => rowsOf(parameters[name].binding, parameters[name].shape[1]!),
  vector: (name) => (name === 'bias' ? parameters.bias.binding : null),
});

/** tokens: [batch, N, queryDim]; context: [batch, L, contextDim], null for self-attention. */
export function attend(
  tape: Tape,
  tokens: Value,
  context: Value | null,
  mask: AttentionMask | null,
  parameters: AttentionParameters,
  numHeads: number,
): Value {
  const queryDim = tokens.shape[2]!;
  const sizes = plainLayer(queryDim, parameters.key.shape[1]!, numHeads);
  const call = callSizes(sizes, tokens.shape, context?.shape ?? null, mask?.shape ?? null);
  const recording = tape.recordingOf(sizes);
  const weights = weightsOf(parameters);
  const batch = tokens.shape[0]!;
  const output = tape.value('attention', tokens.shape);
  const keep = (name: string, elements: number): GPUBuffer => tape.input(name, [elements]).binding.buffer;
  const keyCount = queryDim * padded(call.context.tokens) * batch;
  const saved: Saved = {
    query: keep('query', sizeOf(tokens)),
    key: keep('key', keyCount),
    value: keep('value', keyCount),
    attended: keep('attended', sizeOf(tokens)),
    logSumExp: keep('logSumExp', batch * numHeads * tokens.shape[1]!),
  };
  const inputs = {
    input: tokens.binding.buffer,
    context: context?.binding.buffer ?? null,
    mask: mask?.buffer ?? null,
  };
  const rows = { first: 0, count: batch };
  const firsts = { input: 0, context: 0, output: 0 };
  const places = { ...inputs, output: output.binding.buffer };
  recordForward(recording, weights, call, rows, firsts, places, saved);

  tape.onBackward(() => {
    // The layer's backward writes; what others have made of a gradient already is not to be lost.
    const place = (name: string, value: Value): { buffer: GPUBuffer; finish: () => void } => {
      const { binding, adds } = tape.target(value)!;
      if (!adds) return { buffer: binding.buffer, finish: () => {} };
      const own = { buffer: tape.take(name, 4 * sizeOf(value)) };
      return { ...own, finish: () => passOn(tape, own, value) };
    };
    const ofInput = place('attention, input gradient', tokens);
    const ofContext = context && place('attention, context gradient', context);
    recordBackward(recording, weights, call, inputs, saved, {
      outputGradient: tape.slope(output).buffer,
      inputGradient: ofInput.buffer,
      contextGradient: ofContext && ofContext.buffer,
      parameters: Object.fromEntries(
        Object.entries(parameters).map(([name, parameter]) => [name, tape.onlyTarget(parameter)]),
      ) as Record<WeightName | 'bias', Binding>,
    });
    ofInput.finish();
    ofContext?.finish();
  });
  return output;
}
