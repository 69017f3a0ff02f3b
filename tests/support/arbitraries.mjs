// Random calls of the layer for fast-check: sizes from 1 to 130, all layouts, batches and masks.
import fc from 'fast-check';
import { additiveMask, keyMask } from './cases.mjs';

export const dtypes = ['float32', 'float64'];

/** Options of fc.assert. The fixed seed makes all runs use the same cases. */
export const runs = (numRuns) => ({ numRuns, seed: 20261124, includeErrorInReport: true });

const size = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 130 }));

/** Height and width from 1 to 130. The number of tokens is limited because the reference is slow. */
const area = fc.tuple(size, size).filter(([height, width]) => height * width <= 400);

const heads = fc.integer({ min: 1, max: 8 }).chain((numHeads) =>
  fc.record({
    numHeads: fc.constant(numHeads),
    headDim: fc.oneof(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: Math.floor(130 / numHeads) }),
    ),
  }),
);

const maskOf = (kind, { batch, numHeads, tokens, length }, flags, seed) => {
  if (kind === 'none') return null;
  const [first, second, third] = flags;
  if (kind === 'key') {
    return keyMask(first ? 1 : batch, length, seed, {
      ignored: second ? [0] : [],
      probability: third ? 0.2 : 0.8,
    });
  }
  return additiveMask([first ? 1 : batch, second ? 1 : numHeads, third ? 1 : tokens, length], seed, {
    ignoreProbability: kind === 'additive' ? 0.2 : 0.9,
  });
};

/**
 * Generates descriptions for makeCase of cases.mjs. `maxCost`: limit of the product of tokens, keys and
 * channels.
 */
export function layerCase(dtype, { maxCost = 400_000, magnitude = fc.constant(1) } = {}) {
  return fc
    .record({
      layout: fc.constantFrom('image', 'tokens', 'single'),
      batchChoice: fc.integer({ min: 1, max: 3 }),
      area,
      heads,
      contextDim: size,
      length: fc.oneof({ weight: 4, arbitrary: size }, { weight: 1, arbitrary: fc.constant(null) }),
      shareContext: fc.constantFrom('no', 'batch of 1', 'no batch'),
      maskKind: fc.constantFrom('none', 'key', 'additive', 'mostly ignored'),
      flags: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
      maskDType: fc.constantFrom('float32', 'float64'),
      blockSizeQ: fc.constantFrom(0, 0, 1, 7, 64),
      blockSizeKV: fc.constantFrom(0, 0, 1, 5, 32),
      seed: fc.integer({ min: 1, max: 2 ** 30 }),
      magnitude,
    })
    .map((drawn) => {
      const batch = drawn.layout === 'single' ? 1 : drawn.batchChoice;
      const [height, width] = drawn.area;
      const tokens = height * width;
      const { numHeads, headDim } = drawn.heads;
      const queryDim = numHeads * headDim;
      const length = drawn.length ?? tokens;
      const key = drawn.maskKind === 'key';
      return {
        dtype,
        layout: drawn.layout,
        batch,
        height,
        width,
        queryDim,
        contextDim: drawn.length === null ? queryDim : drawn.contextDim,
        numHeads,
        length: drawn.length,
        contextBatch: drawn.shareContext === 'no' ? batch : 1,
        contextLayout: drawn.shareContext === 'no batch' ? 'single' : 'batched',
        mask: maskOf(drawn.maskKind, { batch, numHeads, tokens, length }, drawn.flags, drawn.seed),
        // A key mask may have any dtype. An additive mask must have that of the layer.
        maskDType: key ? drawn.maskDType : dtype,
        seed: drawn.seed,
        magnitude: drawn.magnitude,
        layerOptions: { blockSizeQ: drawn.blockSizeQ, blockSizeKV: drawn.blockSizeKV },
        cost: batch * tokens * queryDim * (length + queryDim),
      };
    })
    .filter(({ cost }) => cost <= 8 * maxCost);
}
