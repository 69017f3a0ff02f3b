// The numbers that all contenders compute with: the same from the same shape, in every process.
import { arrayOf, normalArray, uniformGenerator } from '../tests/support/random.mjs';

/** Unit-normal image, two contexts (null for self-attention) and output gradient; Xavier-uniform weights. */
export function makeLayerData(shape, dtype) {
  const { batch, queryDim, height, width, length, contextDim } = shape;
  let seed = 1;
  const normal = (size) => normalArray(size, seed++, { dtype });
  const weight = (outFeatures, inFeatures) => {
    const most = Math.sqrt(6 / (outFeatures + inFeatures));
    const uniform = uniformGenerator(seed++);
    return new (arrayOf(dtype))(outFeatures * inFeatures).map(() => most * (2 * uniform() - 1));
  };
  const imageShape = [batch, queryDim, height, width];
  const imageSize = batch * queryDim * height * width;
  const contextShape = length === null ? null : [batch, length, contextDim];
  const makeContext = () => normal(batch * length * contextDim);
  return {
    imageShape,
    input: normal(imageSize),
    outputGradient: normal(imageSize),
    contextShape,
    contexts: contextShape && [makeContext(), makeContext()],
    parameters: {
      query: weight(queryDim, queryDim),
      key: weight(queryDim, contextDim),
      value: weight(queryDim, contextDim),
      output: weight(queryDim, queryDim),
      bias: normal(queryDim),
    },
  };
}
