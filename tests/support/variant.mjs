// The variant that this run of the tests is about: CROSS_ATTENTION_VARIANT says which, and without it it is the best one
// that this Node can run.
import { relaxedSimd } from 'wasm-feature-detect';

const variants = ['relaxed-threads', 'relaxed', 'baseline-threads', 'baseline'];

export const hasRelaxedSimd = await relaxedSimd();

/** The variants that this Node can run. */
export const possibleVariants = variants.filter((name) => hasRelaxedSimd || name.startsWith('baseline'));

export const variant = process.env.CROSS_ATTENTION_VARIANT || possibleVariants[0];
if (!variants.includes(variant)) {
  throw new Error(`CROSS_ATTENTION_VARIANT is ${variant}; it takes one of ${variants.join(', ')}`);
}

const [simd, threads] = variant.split('-');

/** The options of init that choose the variant. */
export const initOptions = { simd, threads: threads === undefined ? 1 : 2 };
export const hasThreads = initOptions.threads > 1;
