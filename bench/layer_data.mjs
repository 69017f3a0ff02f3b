// The numbers that all contenders compute with: the same from the same shape, in every process.
import { arrayOf, normalArray, uniformGenerator } from '../support/random.mjs';

/**
 * Unit-normal image, two contexts (null for self-attention) and output gradient; Xavier-uniform weights. Other numbers for
 * each `index` of a layer.
 */
export function makeLayerData(shape, dtype, index = 0) {
  const { batch, queryDim, height, width, length, contextDim } = shape;
  const seed = 100 * index;
  const normal = (size, which) => normalArray(size, seed + which, { dtype });
  const weight = (outFeatures, inFeatures, which) => {
    const most = Math.sqrt(6 / (outFeatures + inFeatures));
    const uniform = uniformGenerator(seed + which);
    return new (arrayOf(dtype))(outFeatures * inFeatures).map(() => most * (2 * uniform() - 1));
  };
  const imageShape = [batch, queryDim, height, width];
  const imageSize = batch * queryDim * height * width;
  const contextShape = length === null ? null : [batch, length, contextDim];
  return {
    imageShape,
    input: normal(imageSize, 1),
    /** Made when it is asked for: only training needs it, and it takes its time. */
    get outputGradient() {
      return normal(imageSize, 2);
    },
    contextShape,
    contexts: contextShape && [3, 4].map((which) => normal(batch * length * contextDim, which)),
    parameters: {
      query: weight(queryDim, queryDim, 5),
      key: weight(queryDim, contextDim, 6),
      value: weight(queryDim, contextDim, 7),
      output: weight(queryDim, queryDim, 8),
      bias: normal(queryDim, 9),
    },
  };
}
