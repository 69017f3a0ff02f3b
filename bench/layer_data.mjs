// The input data of all contenders. The same shape gives the same numbers in every process.
import { arrayTypeOf, normalArray, uniformGenerator } from '../support/random.mjs';

/**
 * Returns an image, two contexts (null for self-attention) and an output gradient, all unit-normal, and
 * Xavier-uniform weights. Layers with different `index` have different numbers.
 */
export function makeLayerData(shape, dtype, index = 0) {
  const { batch, queryDim, height, width, length, contextDim } = shape;
  const seed = 100 * index;
  const normal = (size, stream) => normalArray(size, seed + stream, { dtype });
  const weight = (outFeatures, inFeatures, stream) => {
    const bound = Math.sqrt(6 / (outFeatures + inFeatures));
    const uniform = uniformGenerator(seed + stream);
    return new (arrayTypeOf(dtype))(outFeatures * inFeatures).map(() => bound * (2 * uniform() - 1));
  };
  const imageShape = [batch, queryDim, height, width];
  const imageSize = batch * queryDim * height * width;
  const contextShape = length === null ? null : [batch, length, contextDim];
  return {
    imageShape,
    input: normal(imageSize, 1),
    /** Computed on access: only training needs it. */
    get outputGradient() {
      return normal(imageSize, 2);
    },
    contextShape,
    contexts: contextShape && [3, 4].map((stream) => normal(batch * length * contextDim, stream)),
    parameters: {
      query: weight(queryDim, queryDim, 5),
      key: weight(queryDim, contextDim, 6),
      value: weight(queryDim, contextDim, 7),
      output: weight(queryDim, queryDim, 8),
      bias: normal(queryDim, 9),
    },
  };
}
