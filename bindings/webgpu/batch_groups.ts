// Which batch rows of a call fit into the buffers of a device.
import type { BatchRows, CallSizes } from './call';
import { type Device, LimitError } from './device';
import { padded } from './forward';
import type { LayerSizes } from '../package/accelerator';
import { innerDim } from './weights';

/** Scores of at least so many tokens are in memory at a time. */
const minScoreTokens = 64;

/**
 * Returns the groups of batch rows that are computed together. Throws LimitError if a single row, the mask,
 * or, if `needsWhole` (for a backward pass or a prepared context), the whole batch does not fit.
 */
export function batchGroups(
  device: Device,
  sizes: LayerSizes,
  { input, context, mask }: CallSizes,
  needsWhole: boolean,
): BatchRows[] {
  const { limits } = device.gpu;
  const { numHeads, queryDim, outputDim } = sizes;
  const maxBytes = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  const keys = padded(context.tokens);
  const rowBytes =
    4 *
    Math.max(
      Math.max(queryDim, outputDim, innerDim(sizes)) * input.tokens,
      innerDim(sizes) * keys,
      context.tokens * context.channels,
      numHeads * keys * Math.min(minScoreTokens, input.tokens),
      1,
    );
  const maxRows = Math.min(
    Math.floor(maxBytes / rowBytes),
    Math.floor(limits.maxComputeWorkgroupsPerDimension / numHeads),
  );
  const refuse = (what: string, bytes: number): never => {
    throw new LimitError(
      `${what} needs ${bytes} bytes in one buffer; expected at most ${maxBytes} on this device`,
    );
  };
  if (maxRows < 1) refuse('one batch row', rowBytes);
  if (4 * mask.elements > maxBytes) refuse('the mask', 4 * mask.elements);
  if (needsWhole && maxRows < input.batch) {
    refuse('the batch of a training forward or a compiled context', rowBytes * input.batch);
  }
  return Array.from({ length: Math.ceil(input.batch / maxRows) }, (_, group) => ({
    first: group * maxRows,
    count: Math.min(maxRows, input.batch - group * maxRows),
  }));
}
