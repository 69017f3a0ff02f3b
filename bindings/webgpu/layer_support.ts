// Which calls the kernels compute.
import type { LayerSizes } from '../package/accelerator';

/** Returns the sizes of a layer without options. */
export function plainLayer(queryDim: number, contextDim: number, numHeads: number): LayerSizes {
  const headDim = queryDim / numHeads;
  return {
    queryDim,
    contextDim,
    numHeads,
    headDim,
    outputDim: queryDim,
    scale: 1 / Math.sqrt(headDim),
    bias: false,
    outputBias: true,
    queryKeyNorm: 'none',
    normEpsilon: 0,
  };
}

/** Returns why the GPU does not compute a call; null if it does. `training`: a backward pass follows. */
export function unsupported({ queryKeyNorm }: LayerSizes, training: boolean): string | null {
  const hasNorm = queryKeyNorm !== 'none';
  return training && hasNorm ? `no backward pass of queryKeyNorm '${queryKeyNorm}'` : null;
}
