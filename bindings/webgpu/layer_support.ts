// Which layers the kernels compute.
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
  };
}

/** Returns why the GPU does not compute a layer; null if it does. */
export function unsupported({ queryKeyNorm }: LayerSizes): string | null {
  return queryKeyNorm === 'none' ? null : `the layer has queryKeyNorm '${queryKeyNorm}'`;
}
