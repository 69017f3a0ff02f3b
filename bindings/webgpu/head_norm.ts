// Commands that normalize projected queries or keys.
import { headNormKernel, headNormWorkgroup } from './kernels/head_norm';
import type { Recording } from './recording';
import { innerDim, type LayerWeights } from './weights';

/**
 * Records the norm of queries or keys, channels first, in place; nothing if the layer has none. Columns from
 * `tokens` to `paddedTokens` stay.
 */
export function recordHeadNorm(
  { recorder, sizes }: Recording,
  weights: LayerWeights,
  name: 'query' | 'key',
  buffer: GPUBuffer,
  { tokens, paddedTokens, batch }: { tokens: number; paddedTokens: number; batch: number },
): void {
  const weight = weights.vector(`${name}Norm`);
  if (weight === null) return;
  const { headDim, numHeads, normEpsilon } = sizes;
  recorder.dispatch(
    headNormKernel(sizes.queryKeyNorm === 'layer_norm'),
    [tokens, paddedTokens, headDim, innerDim(sizes) * paddedTokens, normEpsilon],
    [4],
    [{ buffer }, weight, weights.vector(`${name}NormBias`)],
    [Math.ceil(tokens / headNormWorkgroup), numHeads, batch],
  );
}
